//go:build linux

package simtest

import (
	"bytes"
	"slices"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// Runs of the kind zeroCopy are those of sockets, on connections that may share the memory of leases with the kernel (SetZeroCopy),
// by programs that also write leases of their own memory, one or several at a time. Each of these overwrites its memory when it is
// released, and asks the kernel whether it still reads from it. What must hold besides:
//
//   - a lease is released once, and not before the kernel has let go of it, whatever ended the call;
//   - and then at once: one that nobody is about to send, or sending, or reading from, has been released when the worker rests.

// A given is the leases of one call, from when they were made.
type given struct {
	t        *talk
	mem      [][]byte
	released []int
	calling  bool // the call that was given them has not returned
}

// give makes leases of b: one, or some with an empty one among them.
func (t *talk) give(b []byte, pieces int) (*given, []buffers.Lease) {
	g := &given{t: t}
	if pieces > 1 {
		g.mem = append(g.mem, nil)
		for n := (len(b) + pieces - 1) / pieces; len(b) > n; b = b[n:] {
			g.mem = append(g.mem, b[:n])
		}
	}
	g.mem = append(g.mem, b)
	g.released = make([]int, len(g.mem))
	var ls []buffers.Lease
	for i, p := range g.mem {
		ls = append(ls, buffers.WrapFunc(p, func() { g.back(i) }))
	}
	t.w.given = append(t.w.given, g)
	return g, ls
}

// back is told that lease i is released.
func (g *given) back(i int) {
	if g.released[i]++; g.released[i] > 1 {
		g.t.wrong("a lease was released twice")
	}
	if g.t.w.kernel.Lent(g.mem[i]) {
		g.t.wrong("a lease of %d bytes was released while the kernel reads from it", len(g.mem[i]))
	}
	for j := range g.mem[i] {
		g.mem[i][j] = 0xee
	}
}

// held reports whether somebody has a use for the leases of g.
func (g *given) held() bool {
	switch {
	case g.calling:
		return true
	case g.t.conn != nil && g.t.conn.Queued() > 0:
		return true
	}
	return slices.ContainsFunc(g.mem, g.t.w.kernel.Lent) // they come back together
}

// holdings looks for leases that nobody has a use for. The worker rests.
func (w *world) holdings() {
	w.given = slices.DeleteFunc(w.given, func(g *given) bool {
		if !slices.Contains(g.released, 0) {
			return true
		}
		if !w.broke && !g.held() {
			g.t.wrong("leases of %d pieces are kept, and nobody has a use for them: released %v", len(g.mem), g.released)
			return true
		}
		return false
	})
}

// leaseVerdict is what must hold at the end. Of what was lent to a backend that broke nobody tells any more: it is kept.
func (w *world) leaseVerdict() {
	if n := buffers.DoubleReleases() - w.doubles; n != 0 {
		w.wrong("%d leases were released twice", n)
	}
	for _, g := range w.given {
		if slices.Contains(g.released, 0) && !slices.ContainsFunc(g.mem, w.kernel.Lent) {
			g.t.wrong("a lease was never released: %v", g.released)
		}
	}
}

// share has a connection share leases from some length on.
func (t *talk) share(c stream, how int) {
	from := [...]int{1, 100, 0, 1000, 300}[how%5]
	switch c := c.(type) {
	case *proactor.Conn:
		c.SetZeroCopy(from)
	case *net.TCPConn:
		if err := c.SetZeroCopy(from); err != nil && !t.disturbed() && !t.early {
			t.wrong("SetZeroCopy fails without a reason: %v", err)
		}
	}
}

// writeLeases writes b, which it takes over, as leases; 0 pieces are one by WriteLease. It returns true when no more can be written.
func (t *talk) writeLeases(c stream, b []byte, pieces int) bool {
	n := len(b)
	g, ls := t.give(b, pieces)
	t.sending = n
	began := time.Now()
	g.calling = true
	var err error
	if pieces == 0 {
		err = c.WriteLease(ls[0])
	} else {
		err = c.(interface {
			WriteLeases(ls ...buffers.Lease) error
		}).WriteLeases(ls...)
	}
	g.calling = false
	wrote := n
	if err != nil { // how much went is not told; nobody else sends meanwhile
		_, sent := t.peer.remote.Engine()
		wrote = min(n, max(0, int(sent)-t.sSent))
	}
	return t.wrote(wrote, n, err, began)
}

// echoShared is write for an echo, which may send its bytes as leases: not if its Reads are tiny, as each takes a Poll or two.
func (t *talk) echoShared(c stream, b []byte) bool {
	if !t.w.shares || t.id%2 == 0 || cap(b) < 20 {
		return t.write(c, b)
	}
	return t.writeLeases(c, bytes.Clone(b), t.id%4)
}

// deeds is how many things a program may do.
func (w *world) deeds() int {
	if w.shares {
		return deeds + 3
	}
	return deeds
}

// anyShared is any for the deeds of this kind of run.
func (t *talk) anyShared(c stream, deed, how int) bool {
	switch deed - deeds {
	case 0:
		return t.writeLeases(c, pattern(t.id, down, t.sSent, 1+how%3000), 0)
	case 1:
		n := 1 + how%3000
		if how%16 == 0 {
			n = 0
		}
		return t.writeLeases(c, pattern(t.id, down, t.sSent, n), 1+how/3000%6)
	case 2:
		t.share(c, how)
	}
	return false
}

// zeroCopyMutations are the bugs that TestSimZeroCopy must find.
var zeroCopyMutations = []mutation{
	{"a lease is released at the result of its send, before the notification", "proactor/conn_zerocopy.go",
		"	if last {\n		s.lease.release()\n", "	if r.More || r.Errno != 0 {\n		s.lease.release()\n"},
	{"a lease that is shared is released when its WriteLease returns", "proactor/conn_zerocopy.go",
		"	defer z.release()\n", "	defer z.lease.Release()\n"},
	{"a lease that Send has shared is released at the result", "proactor/conn_send.go",
		"		o.zc.release()\n", "		o.lease.Release()\n"},
	{"a lease is kept when its send fails", "proactor/conn_zerocopy.go",
		"	if last {\n		s.lease.release()\n", "	if last && r.Errno == 0 {\n		s.lease.release()\n"},
	{"sends whose notification is outstanding are not counted", "proactor/conn_zerocopy.go",
		"	c.shared++\n", ""},
	{"Close forgets what is shared", "proactor/conn.go",
		"	if c.shared > 0 && !c.discarded {\n", "	if c.shared > 0 && !c.discarded && false {\n"},
	{"a notification is not counted", "proactor/conn_zerocopy.go",
		"	if last && c.shared > 0 {\n", "	if last && c.shared > 0 && r.Errno != 0 {\n"},
	{"a notification counts as the result of the send under way", "proactor/conn_zerocopy.go",
		"	case c.sendOn && o == c.out.send: // the result\n", "	case c.sendOn:\n"},
	{"what is left behind a short send of several pieces is lost", "proactor/conn_leases.go",
		"		o.bytes, o.zc.rest = o.zc.rest[0], o.zc.rest[1:]\n	}\n", "		o.bytes, o.zc.rest = o.zc.rest[0], o.zc.rest[1:]\n	}\n	if n > 0 {\n		o.zc.rest = nil\n	}\n"},
	{"a short send of several pieces goes on at the start of a piece", "proactor/conn_leases.go",
		"		n -= len(o.bytes)\n		o.bytes, o.zc.rest", "		n = 0\n		o.bytes, o.zc.rest"},
	{"a socket that cannot share memory fails its connection", "proactor/conn_zerocopy.go",
		"	case syscall.EOPNOTSUPP, syscall.EINVAL:\n		c.zcFrom = 0", "	case syscall.EINVAL:\n		c.zcFrom = 0"},
	{"want of memory for a send without a copy fails its connection", "proactor/conn_zerocopy.go",
		"	case syscall.ENOMEM, syscall.ENOBUFS:", "	case syscall.ENOMEM:"},
	{"where a send without a copy was refused the rest of the pieces is lost", "proactor/conn_zerocopy.go",
		"		z.off = true\n", "		z.off, z.rest = true, nil\n"},
	{"a lease that nobody shares is not released after WriteLease", "proactor/conn_zerocopy.go",
		"	_, err := c.Write(l.Bytes())\n	l.Release()\n", "	_, err := c.Write(l.Bytes())\n"},
	{"only the first of several leases is released", "proactor/conn_zerocopy.go",
		"		for _, l := range z.more {\n			l.Release()\n		}\n", "		for _, l := range z.more[:min(1, len(z.more))] {\n			l.Release()\n		}\n"},
}
