//go:build linux

package proactor

import (
	"time"

	"github.com/ouro-io/ouro/executor"
)

// SetDeadline sets both deadlines; a zero time means none, a past one ends at once whatever waits.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline sets the deadline of reads, also of those that wait already.
func (c *PacketConn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline sets the deadline of writes, also of those that wait already.
func (c *PacketConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

func (c *PacketConn) setDeadline(t time.Time, read, write bool) error {
	at := c.loop.engine.deadline(t)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	if read {
		c.readAt = at
	}
	if write {
		c.writeAt = at
	}
	kick := c.expire()
	c.mu.Unlock()
	if kick {
		c.kick()
	}
	return nil
}

func (c *PacketConn) passed(at int64) bool { return at != 0 && c.loop.engine.clock.Now() >= at }

// OnTimer is called by the worker's timers.
func (c *PacketConn) OnTimer(*executor.Worker, *executor.Timer) {
	c.mu.Lock()
	c.armed = 0
	if c.expire() {
		c.reconcile()
	}
	c.mu.Unlock()
}

// expire ends what has outlived its deadline, and sets the timer for what has not. It reports whether reconcile has to
// run. mu is held.
func (c *PacketConn) expire() (kick bool) {
	if len(c.readers) > 0 && c.readAt != 0 {
		if c.passed(c.readAt) {
			c.wakeReaders()
		} else {
			c.arm(c.readAt)
		}
	}
	if c.lingerAt != 0 {
		if !c.passed(c.lingerAt) {
			c.arm(c.lingerAt)
			return false // no deadline counts on a closed socket
		}
		c.lingerAt = 0
		return true
	}
	rawWriters := c.raw != nil && len(c.raw.writers) > 0
	if c.writeAt == 0 || c.waiting.head == nil && c.flying.head == nil && !rawWriters {
		return false
	}
	if !c.passed(c.writeAt) {
		c.arm(c.writeAt)
		return false
	}
	c.wakeWriters()
	for _, l := range []*sendList{&c.waiting, &c.flying} {
		for b := l.head; b != nil; b = b.next {
			// What Send has accepted has no deadline.
			if b.waits {
				b.expired = true
			}
		}
	}
	return true
}

func (c *PacketConn) arm(at int64) {
	if c.armed == 0 || c.armed > at {
		c.armed = at
		c.timer.Set(at)
	}
}
