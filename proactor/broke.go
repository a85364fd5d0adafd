//go:build linux

package proactor

import "github.com/ouro-io/ouro/internal/op"

// A backend that breaks delivers nothing more, so whoever waits for a completion is told here. What was in flight stays
// the backend's: its records are not used again (recv is not submitted once rerr is set, the send is left to the
// garbage collector), its memory is kept reachable by the backend, and the kernel keeps the socket until the backend is
// closed. Should that deliver the completions after all, Complete finds that they are nobody's.

// broke ends everything that is bound to l. It is called in loop state.
func (l *loop) broke(err error) {
	l.broken.Store(true)
	e := l.engine
	var as []*Acceptor
	e.mu.Lock()
	for a := range e.acceptors {
		if a.loop == l {
			as = append(as, a)
		}
	}
	e.mu.Unlock()
	for _, a := range as {
		a.broke(err)
	}
	for _, c := range l.all() {
		c.broke(err)
	}
	for _, c := range l.allPackets() {
		c.broke(err)
	}
	l.brokeCalls()
}

func (a *Acceptor) broke(err error) {
	a.mu.Lock()
	a.on = false
	a.end(err)
	a.mu.Unlock()
}

func (c *Conn) broke(err error) {
	c.mu.Lock()
	c.recvOn, c.shared = false, 0
	c.endRecv(err)
	if c.werr() == nil {
		c.setWerr(err)
	}
	if c.sendOn {
		c.out, c.sendOn = c.out.withoutOp(), false
	}
	if p := c.polls; p != nil {
		p.in.on, p.out.on = false, false
	}
	if len(c.outBytes()) > 0 { // a Write that is in its direct system call finds werr afterwards
		c.sendDone()
	}
	if !c.closed {
		c.shut()
	}
	c.finish()
	c.mu.Unlock()
}

// late disposes of a completion that came after its backend broke.
func (l *loop) late(o *op.Op, r *op.Completion) {
	r.Lease.Release()
	if o.Kind == op.Accept && r.Errno == 0 {
		l.engine.system.Close(int(r.Result), op.Reset)
	}
}
