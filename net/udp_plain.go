//go:build linux

package net

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// plainReads are the Reads of goroutines in runtime mode that are the standard library's, as long as the kernel joins no
// datagrams (SetGRO): our own, which cut them apart, cost 1.16 of package net's CPU per echoed datagram, for nothing.
//
// Invariant: when UDP_GRO is switched on nobody is inside who would take joined datagrams for one. So SetGRO first sets
// gro, after which nobody enters (beginPlain counts before it looks), and then ends those that are inside by a deadline
// that is past, until there are none. Who is ended so, or by that deadline in our own reads, which is everybody's, goes on
// when evicting is over. SetReadDeadline of the user's meanwhile is noted, and takes effect then.
type plainReads struct {
	inside   atomic.Int32
	evicting chan struct{} // udpMode.mu; closed and nil when it is over
	was      bool          // udpMode.mu; it has been
}

// evictPause is between two looks at whether those inside have left.
const evictPause = 20 * time.Microsecond

// beginPlain reports whether a Read is to be the standard library's; endPlain is to be called afterwards.
func (c *UDPConn) beginPlain() bool {
	if c.gro.Load() || c.pc.Load() != nil || onCoroutine() {
		return false
	}
	c.plain.inside.Add(1)
	if c.gro.Load() {
		c.plain.inside.Add(-1)
		return false
	}
	return true
}

// endPlain reports whether err is the Read's result. Otherwise the Read was ended for a reason of ours, and goes on with ours.
func (c *UDPConn) endPlain(err error) bool {
	c.plain.inside.Add(-1)
	return err == nil || !c.thrownOut(err) && !c.plain.evicted(&c.udpMode, err)
}

// evicted reports whether err is the end of a Read by evictPlain, after waiting for the end of that.
func (p *plainReads) evicted(m *udpMode, err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	m.mu.Lock()
	over := !m.readAt.IsZero() && !time.Now().Before(m.readAt)
	wait, ever := p.evicting, p.was
	m.mu.Unlock()
	if over || !ever {
		return false
	}
	if wait != nil {
		<-wait
	}
	return true
}

// evictPlain ends the standard library's Reads. gro is set.
func (c *UDPConn) evictPlain() {
	p, m := &c.plain, &c.udpMode
	if p.inside.Load() == 0 {
		return
	}
	m.mu.Lock()
	p.evicting, p.was = make(chan struct{}), true
	m.mu.Unlock()
	for p.inside.Load() > 0 {
		m.mu.Lock()
		if m.state == stateRuntime { // else the move or Close ends them
			_ = m.std.SetReadDeadline(pastDeadline)
		}
		m.mu.Unlock()
		time.Sleep(evictPause)
	}
	m.mu.Lock()
	if m.state == stateRuntime {
		_ = m.std.SetReadDeadline(m.readAt)
	}
	close(p.evicting)
	p.evicting = nil
	m.mu.Unlock()
}
