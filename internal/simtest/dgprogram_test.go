//go:build linux

package simtest

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// A program uses a datagram socket, on a coroutine or, step by step, on a goroutine: some deeds, and then it reads until
// the socket is closed. The first of a socket does anything; the others read, and end deadlines, or close.
type program struct {
	e      *end
	id     int
	steps  int
	reader bool
	over   bool
	drains bool            // it reads to the end
	inside string          // "read" or "write" while it is inside such a call, "asleep", or nothing
	ctx    context.Context // of the last read

	gate chan func()
	idle bool
}

// start starts the programs of the socket.
func (e *end) start() {
	w, t := e.x.w, e.x.w.tape
	if e.kind == endServer {
		e.serve()
		return
	}
	n, goroutines := t.between(1, 3), 0
	for i := range n {
		p := &program{e: e, id: i, steps: t.between(0, 12), reader: i > 0}
		e.programs = append(e.programs, p)
		if t.Choose(3) == 2 {
			goroutines++
			p.gate, p.idle = make(chan func()), true
		}
	}
	e.loose = goroutines > 0 && n > 1
	w.actors += goroutines
	for _, p := range e.programs {
		if p.gate == nil {
			if err := w.engine.Executor().Go(p.run); err != nil {
				e.wrong("a program does not start: %v", err)
			}
			continue
		}
		go func() {
			for f := range p.gate {
				f()
				p.idle = true
				if p.over {
					return
				}
			}
		}()
		w.kernel.Join(p)
	}
}

// run is the program on a coroutine.
func (p *program) run() {
	w := p.e.x.w
	for !p.over {
		w.settleFirst()
		if w.tape.rarely(4) {
			p.inside = "asleep"
			executor.Sleep(time.Duration(w.tape.Choose(10)) * time.Millisecond)
			p.inside = ""
			w.settleFirst()
		}
		p.step(w.tape.Choose(gramDeeds), w.tape.Choose(1<<16))
	}
}

// Ready and Step make a program on a goroutine an agent.
func (p *program) Ready() bool {
	synctest.Wait()
	return p.idle && !p.over
}

func (p *program) Step() {
	p.idle = false
	deed, how := p.e.x.w.tape.Choose(gramDeeds), p.e.x.w.tape.Choose(1<<16)
	p.gate <- func() { p.step(deed, how) }
	synctest.Wait()
}

const gramDeeds = 16

// step does one thing; how decides the details.
func (p *program) step(deed, how int) {
	e := p.e
	if p.steps--; p.steps < 0 {
		p.drain()
		return
	}
	e.note("program %d: deed %d, %d", p.id, deed, how)
	if p.reader {
		p.help(deed, how)
		return
	}
	switch deed {
	case 0, 1, 2:
		p.over = p.read(context.Background(), how)
	case 3:
		ctx, stop := e.x.w.context()
		p.over = p.read(ctx, how)
		stop()
	case 4, 5:
		p.over = p.readBatch(how)
	case 6, 7:
		p.over = p.write(context.Background(), 1, how)
	case 8:
		ctx, stop := e.x.w.context()
		p.over = p.write(ctx, 1, how)
		stop()
	case 9, 10, 11:
		p.over = p.write(context.Background(), 1+how%9, how)
	case 12:
		e.set(e.x.w.soon(how), how%3 != 0, how%3 != 1)
	case 13:
		e.set(time.Time{}, true, true)
	case 14:
		p.over = p.special(how)
	case 15:
		if how%16 == 0 {
			e.shut(true)
		}
	}
}

// help is what those do that are not the first.
func (p *program) help(deed, how int) {
	e := p.e
	switch {
	case deed < 9:
		p.over = p.read(context.Background(), how)
	case deed < 12:
		p.over = p.readBatch(how)
	case deed < 14:
		// Never forward, as talk.shift.
		e.set(time.Now().Add(-time.Millisecond), deed == 12, deed == 13)
	case how%32 == 0:
		e.shut(true)
	}
}

// drain reads until the socket is closed.
func (p *program) drain() {
	p.drains = true
	for how := 1; !p.over; how++ {
		p.e.set(time.Time{}, true, !p.reader) // another may have set one; of writes never forward, as talk.shift
		p.over = p.read(context.Background(), 5*how)
	}
}

func (e *end) set(at time.Time, read, write bool) {
	e.x.w.settleFirst()
	e.mu.Lock()
	if !e.setAt.Equal(time.Now()) {
		e.setAt, e.wasAt = time.Now(), nil
	}
	e.wasAt = append(e.wasAt, e.readAt, e.writeAt)
	if read {
		e.readAt = at
	}
	if write {
		e.writeAt = at
	}
	e.mu.Unlock()
	var c interface {
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
	} = e.pc
	if e.conn != nil {
		c = e.conn
	}
	if read {
		_ = c.SetReadDeadline(at)
	}
	if write {
		_ = c.SetWriteDeadline(at)
	}
}

// room is how large the memory of a read is.
func room(how int) int {
	if how%3 == 0 {
		return 1 + how%300
	}
	return 8000
}

// read reads one datagram in one of the ways there are.
func (p *program) read(ctx context.Context, how int) bool {
	e, b := p.e, make([]byte, room(how))
	began, n := time.Now(), 0
	var from netip.AddrPort
	var err error
	flags := -1
	p.inside, p.ctx = "read", ctx
	switch {
	case e.pc != nil && ctx == context.Background() && how%4 == 0:
		p.readPacket(began)
		return p.over
	case e.pc != nil:
		var r proactor.Received
		if ctx == context.Background() {
			r, err = e.pc.Receive(b, nil)
		} else {
			r, err = e.pc.ReceiveContext(ctx, b, nil)
		}
		n, from, flags = r.N, r.From, r.Flags
	case ctx != context.Background():
		n, from, err = e.conn.ReadFromUDPAddrPortContext(ctx, b)
	case how%4 == 0:
		n, _, flags, from, err = e.conn.ReadMsgUDPAddrPort(b, make([]byte, 100))
	case how%4 == 1:
		var a *net.UDPAddr
		if n, a, err = e.conn.ReadFromUDP(b); a != nil {
			from = a.AddrPort()
		}
	case how%4 == 2 && len(b) > 0:
		n, err = e.conn.Read(b)
	default:
		n, from, err = e.conn.ReadFromUDPAddrPort(b)
	}
	p.inside = ""
	return p.done(ctx, b[:max(0, n)], len(b), unmapped(from), flags, began, err)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// done takes the result of a read.
func (p *program) done(ctx context.Context, b []byte, size int, from netip.AddrPort, flags int, began time.Time, err error) bool {
	e := p.e
	if err != nil {
		return e.failed(reading, err, ctx, began)
	}
	e.beforeDeadline(reading)
	e.got(b, size, from, flags)
	return false
}

// readPacket takes packets with the engine's memory, which stay as they are until they are given back.
func (p *program) readPacket(began time.Time) {
	e := p.e
	ps := make([]proactor.Packet, 3)
	n, err := e.pc.ReadPackets(ps)
	p.inside = ""
	if err != nil {
		p.over = p.done(context.Background(), nil, 0, netip.AddrPort{}, -1, began, err)
		return
	}
	e.beforeDeadline(reading)
	was := make([]string, n)
	for i, q := range ps[:n] {
		was[i] = string(q.Payload)
		e.gotPacket(q)
	}
	if p.gate == nil {
		p.inside = "asleep"
		executor.Sleep(time.Millisecond)
		p.inside = ""
	}
	for i, q := range ps[:n] {
		if string(q.Payload) != was[i] {
			e.wrong("a packet changes before its lease is released")
		}
		q.Lease.Release()
	}
}

// gotPacket is got for a packet, which may be several datagrams that were joined.
func (e *end) gotPacket(q proactor.Packet) {
	from, _ := dgram.ParseName(q.Name)
	for rest := q.Payload; ; {
		part, flags := rest, q.Flags
		if q.Segment > 0 && q.Segment < len(rest) {
			part, flags = rest[:q.Segment], 0
		}
		e.got(part, 1<<16, from, flags)
		if rest = rest[len(part):]; len(rest) == 0 {
			return
		}
	}
}

// readBatch reads some datagrams.
func (p *program) readBatch(how int) bool {
	e := p.e
	if e.conn == nil {
		return p.read(context.Background(), how)
	}
	ms := make([]net.Message, 1+how%5)
	sizes := make([]int, len(ms))
	for i := range ms {
		sizes[i] = room(how + i)
		b := make([]byte, sizes[i])
		ms[i].Buffers = [][]byte{b}
		if how%2 == 0 {
			ms[i].Buffers = [][]byte{b[:len(b)/2], b[len(b)/2:]}
		}
	}
	began := time.Now()
	p.inside, p.ctx = "read", nil
	n, err := e.conn.ReadBatch(ms, 0)
	p.inside = ""
	if err != nil {
		if n != 0 {
			e.wrong("ReadBatch returns %d and %v", n, err)
		}
		return e.failed(reading, err, context.Background(), began)
	}
	e.beforeDeadline(reading)
	for i, m := range ms[:n] {
		var b []byte
		for _, q := range m.Buffers {
			b = append(b, q...)
		}
		e.got(b[:m.N], sizes[i], unmapped(m.Addr.(*net.UDPAddr).AddrPort()), m.Flags)
	}
	return false
}

// write sends n datagrams.
func (p *program) write(ctx context.Context, n, how int) bool {
	e := p.e
	to, ps := make([]uint16, n), make([][]byte, n)
	for i := range ps {
		if e.peer == 0 {
			to[i] = e.x.target(how + i/4)
		}
		ps[i] = e.x.payload(e.x.size(how + i/3))
	}
	began := time.Now()
	p.inside = "write"
	sent, err := p.put(ctx, to, ps, how)
	p.inside = ""
	e.wrote(p.id, to, ps, sent, err)
	for _, q := range ps {
		clear(q) // nobody looks at it any more
	}
	if err != nil {
		return e.failed(writes, err, ctx, began)
	}
	e.beforeDeadline(writes)
	return false
}

// put sends in one of the ways there are.
func (p *program) put(ctx context.Context, to []uint16, ps [][]byte, how int) (int, error) {
	e := p.e
	switch {
	case e.pc != nil && ctx != context.Background():
		return e.pc.WriteMsgsContext(ctx, messages(to, ps))
	case e.pc != nil:
		return e.pc.WriteMsgs(messages(to, ps))
	case len(ps) > 1:
		ms := make([]net.Message, len(ps))
		for i, q := range ps {
			ms[i].Buffers = [][]byte{q[:len(q)/2], q[len(q)/2:]}
			if to[i] != 0 {
				ms[i].Addr = net.UDPAddrFromAddrPort(addrOf(to[i]))
			}
		}
		n, err := e.conn.WriteBatch(ms, 0)
		for _, m := range ms[:max(0, n)] {
			if len(m.Buffers[0])+len(m.Buffers[1]) != m.N {
				e.wrong("WriteBatch says that %d bytes of a datagram were sent", m.N)
			}
		}
		return n, err
	}
	var n int
	var err error
	switch q := ps[0]; {
	case e.peer != 0 && ctx != context.Background():
		n, err = e.conn.WriteContext(ctx, q)
	case e.peer != 0:
		n, err = e.conn.Write(q)
	case how%3 == 0:
		n, err = e.conn.WriteTo(q, net.UDPAddrFromAddrPort(addrOf(to[0])))
	case how%3 == 1:
		n, _, err = e.conn.WriteMsgUDPAddrPort(q, nil, addrOf(to[0]))
	default:
		n, err = e.conn.WriteToUDPAddrPort(q, addrOf(to[0]))
	}
	if err != nil {
		return 0, err
	}
	if n != len(ps[0]) {
		e.wrong("a write of %d bytes wrote %d", len(ps[0]), n)
	}
	return 1, nil
}

// special is what only the engine's sockets have.
func (p *program) special(how int) bool {
	e := p.e
	switch {
	case e.pc == nil:
	case how%4 < 2:
		for range 1 + how%7 {
			to := e.peer
			if to == 0 {
				to = e.x.target(how)
			}
			b := e.x.payload(e.x.size(how))
			name := sockaddr(to)
			if e.peer != 0 {
				name = nil
			}
			err := e.pc.Send(b, name, nil)
			e.posted(to, b, err)
			clear(b)
		}
	case how%4 == 2:
		return p.readRaw(how)
	default:
		e.pc.NoReadAhead()
	}
	return false
}

// readRaw makes the system call itself.
func (p *program) readRaw(how int) bool {
	e := p.e
	b, name, control := make([]byte, room(how)), make([]byte, dgram.NameBytes), make([]byte, 64)
	var q proactor.Packet
	var errno syscall.Errno
	began := time.Now()
	p.inside, p.ctx = "read", nil
	err := e.pc.ReadWith(func(fd int) bool {
		h := unix.Msghdr{Name: &name[0], Namelen: uint32(len(name)), Iov: &unix.Iovec{Base: &b[0]}, Control: &control[0]}
		h.Iov.SetLen(len(b))
		h.SetIovlen(1)
		h.SetControllen(len(control))
		var n int
		n, errno = settledCalls{e.x.w.kernel, e.x.w}.RecvMsg(fd, &h)
		q = proactor.Packet{Payload: b[:n], Name: name[:h.Namelen], Flags: int(h.Flags), Segment: dgram.Segment(control[:h.Controllen])}
		return errno != syscall.EAGAIN
	})
	p.inside = ""
	switch {
	case errors.Is(err, proactor.ErrReadAhead):
		return false
	case err == nil && errno != 0:
		err = errno
	}
	if err != nil {
		return e.failed(reading, err, context.Background(), began)
	}
	e.beforeDeadline(reading)
	e.gotPacket(q)
	return false
}
