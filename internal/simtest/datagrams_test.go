//go:build linux

package simtest

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/netsim"
	"github.com/ouro-io/ouro/internal/simkernel"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// An exchange are the datagram sockets of a world: ends are the engine's, callers those of other machines. Nobody tells a
// program that no more will come: when nothing can happen any more and all that wait wait rightly, the exchange closes all
// ends.
type exchange struct {
	w       *world
	ends    []*end
	callers []*caller
	closing bool // nothing more can come
	begun   bool // a socket is being closed
	closed  bool
	seq     atomic.Int64 // of payloads
}

// openExchange makes the sockets of the world, and starts the programs.
func (w *world) openExchange() {
	t := w.tape
	w.accepting = false
	x := &exchange{w: w}
	w.exchange = x
	for range t.between(1, 4) {
		c := &caller{x: x, g: w.kernel.RemoteUDP(), left: pick(t, 5, 0, 1, 40, 150)}
		c.leaves = t.rarely(4)
		x.callers = append(x.callers, c)
	}
	for range t.between(1, 3) {
		x.open()
	}
	for _, c := range x.callers {
		w.kernel.Join(c)
	}
	w.kernel.Join((*closer)(x))
	for _, e := range x.ends {
		e.start()
	}
}

// simulatedUDP stand in for the sockets that net's functions would make; they are closed.
var simulatedUDP [2]*stdnet.UDPConn

func init() {
	lo := &stdnet.UDPAddr{IP: stdnet.IPv4(127, 0, 0, 1)}
	l, err := stdnet.ListenUDP("udp4", lo)
	if err != nil {
		panic(err)
	}
	d, err := stdnet.DialUDP("udp4", nil, l.LocalAddr().(*stdnet.UDPAddr))
	if err != nil {
		panic(err)
	}
	l.Close()
	d.Close()
	simulatedUDP = [...]*stdnet.UDPConn{l, d}
}

// open makes a socket of the engine.
func (x *exchange) open() {
	w, t := x.w, x.w.tape
	e := &end{x: x, id: len(x.ends), kind: pick(t, endNet, endServer, endEngine), seen: map[syscall.Errno]int{}}
	e.joins = t.rarely(3)
	if e.kind != endServer && t.rarely(3) {
		e.peer = x.callers[t.Choose(len(x.callers))].g.Port()
		if t.rarely(6) {
			e.peer = 9 // nobody has it
		}
	}
	fd := 0
	fd, e.g = w.kernel.UDP(e.peer, e.joins)
	var err error
	if e.kind == endEngine {
		e.pc, err = w.engine.NewPacketConn(fd)
	} else {
		std := simulatedUDP[0]
		if e.peer != 0 {
			std = simulatedUDP[1]
		}
		var c net.Conn
		if c, err = netsim.UDP(w.engine, std, fd, t.rarely(2)); err == nil {
			e.conn = c.(*net.UDPConn)
		}
	}
	if err != nil {
		w.wrong("a socket cannot be made: %v", err)
		return
	}
	x.ends = append(x.ends, e)
}

// payload are n bytes that say who sends them, if there is room, and that nobody has sent before.
func (x *exchange) payload(n int) []byte {
	return pattern(int(x.seq.Add(1)), 0, 0, n)
}

// size chooses how long a datagram is.
func (x *exchange) size(how int) int {
	switch how % 16 {
	case 0:
		return 0
	case 1:
		return 2000 + how%3000
	case 2:
		return 1 + how%3
	case 3, 4, 5:
		return 200 // of one length, so that they may be joined
	}
	return 4 + how%700
}

// target chooses a port to send to.
func (x *exchange) target(how int) uint16 {
	n := how % (len(x.callers) + len(x.ends))
	switch {
	case how%23 == 0:
		return 9
	case n < len(x.callers):
		return x.callers[n].g.Port()
	}
	return x.ends[n-len(x.callers)].g.Port()
}

// A caller is a socket on another machine: an agent that sends left datagrams, and receives what comes.
type caller struct {
	x      *exchange
	g      simkernel.Gram
	left   int
	leaves bool // it closes when it has sent all
	gone   bool
	nap    int
	asleep time.Time
}

func (c *caller) Ready() bool {
	if c.gone || time.Now().Before(c.asleep) {
		return false
	}
	s := c.g.State()
	return c.nap > 0 || s.Waiting > 0 || c.left > 0 && s.Writable || c.left == 0 && c.leaves
}

func (c *caller) Step() {
	t := c.x.w.tape
	s := c.g.State()
	switch {
	case c.nap > 0:
		c.nap--
	case c.left > 0 && t.rarely(20):
		c.nap = t.between(1, 20)
	case c.left > 0 && t.rarely(20):
		c.asleep = time.Now().Add(time.Duration(t.between(1, 40)) * time.Millisecond)
	case s.Waiting > 0 && (c.left == 0 || t.Choose(2) == 0):
		c.g.Recv()
	case c.left > 0 && s.Writable:
		how := t.Choose(1 << 16)
		to := c.x.ends[how%len(c.x.ends)].g.Port()
		if how%50 == 0 {
			to = 9
		}
		c.left--
		c.g.Send(to, c.x.payload(c.x.size(how/7)))
	case c.left == 0 && c.leaves:
		c.gone = true
		c.g.Close()
	}
}

// finished reports whether all has ended. There may be no exchange.
func (x *exchange) finished() bool { return len(x.waiting()) == 0 }

func (x *exchange) waiting() (s []string) {
	if x == nil {
		return nil
	}
	for i, c := range x.callers {
		if c.left > 0 {
			s = append(s, fmt.Sprintf("caller %d has %d datagrams left to send", i, c.left))
		}
	}
	for _, e := range x.ends {
		if e.serving.Load() {
			s = append(s, fmt.Sprintf("socket %d: Serve has not returned", e.id))
		}
		for _, p := range e.programs {
			if !p.over {
				s = append(s, fmt.Sprintf("socket %d: program %d (goroutine %v) is not over, and inside %q", e.id, p.id, p.gate != nil, p.inside))
			}
		}
	}
	if !x.closed && !x.w.broke && !x.w.forced {
		s = append(s, "the sockets are not closed")
	}
	return s
}

// next is when a caller wakes up, if one sleeps.
func (x *exchange) next() (at time.Time) {
	if x == nil {
		return at
	}
	for _, c := range x.callers {
		if !c.gone && time.Now().Before(c.asleep) && (at.IsZero() || c.asleep.Before(at)) {
			at = c.asleep
		}
	}
	return at
}

// rests is told that nothing can happen any more. It reports whether something can again, as the sockets are closed now;
// before that nobody may wait who should not.
func (x *exchange) rests() bool {
	if x == nil || x.closing {
		return false
	}
	for _, c := range x.callers {
		if c.left > 0 {
			return false
		}
	}
	for _, e := range x.ends {
		if why := e.stuck(); why != "" {
			x.w.note("socket %d: %s", e.id, why)
			return false
		}
	}
	x.w.note("nothing more can come: the sockets are closed")
	x.closing = true
	return true
}

// closer is the agent that closes the sockets of an exchange.
type closer exchange

func (x *closer) Ready() bool {
	synctest.Wait()
	return x.closing && !x.begun && !x.closed
}

func (x *closer) Step() {
	x.begun = true
	for _, e := range x.ends {
		if !e.done {
			go func() {
				e.shut(false)
				e.done, x.begun = true, false
			}()
			synctest.Wait()
			return
		}
	}
	x.closed = true
}

// serve has net serve the socket.
func (e *end) serve() {
	t := e.x.w.tape
	s := net.PacketServer{Concurrency: pick(t, 0, 1, 2, 5), Handler: e.handle}
	e.loose = true // handlers of joined datagrams that wait let others overtake
	e.serving.Store(true)
	go func() {
		err := s.Serve(context.Background(), e.conn)
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, proactor.ErrShutdown) && !e.x.w.broke {
			e.wrong("Serve: %v", err)
		}
		e.serving.Store(false)
	}()
	synctest.Wait() // until its first coroutine is started
}

func (e *end) handle(p *net.Packet) {
	w := e.x.w
	flags := 0
	if p.Truncated {
		flags = unix.MSG_TRUNC
	}
	e.got(p.Data, 1<<16, p.From, flags)
	was := string(p.Data)
	w.settleFirst()
	if w.tape.rarely(3) {
		executor.Sleep(time.Duration(w.tape.Choose(20)) * time.Millisecond)
	}
	if string(p.Data) != was {
		e.wrong("a datagram changes while its handler runs")
	}
	b := e.x.payload(e.x.size(w.tape.Choose(1 << 16)))
	from := p.From.Port()
	err := p.Reply(b)
	e.posted(from, b, err)
	clear(b) // it was copied
}

// messages are ready to be sent.
func messages(to []uint16, payloads [][]byte) []dgram.Msg {
	ms := make([]dgram.Msg, len(payloads))
	for i, p := range payloads {
		h := &ms[i].Hdr
		h.Iov = &unix.Iovec{}
		h.SetIovlen(1)
		if len(p) > 0 {
			h.Iov.Base = &p[0]
			h.Iov.SetLen(len(p))
		}
		if name := sockaddr(to[i]); name != nil {
			h.Name, h.Namelen = &name[0], uint32(len(name))
		}
	}
	return ms
}

// settledCalls has coroutines wait, before the kernel decides something in a system call on a datagram socket, as settled.
type settledCalls struct {
	*simkernel.Kernel
	w *world
}

func (s settledCalls) SendMsgs(fd int, ms []dgram.Msg) (int, syscall.Errno) {
	s.w.settleFirst()
	return s.Kernel.SendMsgs(fd, ms)
}

func (s settledCalls) RecvMsg(fd int, h *unix.Msghdr) (int, syscall.Errno) {
	s.w.settleFirst()
	return s.Kernel.RecvMsg(fd, h)
}

func (x *exchange) verdict() {
	if x == nil {
		return
	}
	for _, e := range x.ends {
		e.verdict()
	}
}
