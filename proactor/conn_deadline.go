//go:build linux

package proactor

import (
	"time"

	"github.com/ouro-io/ouro/executor"
)

// SetDeadline sets both deadlines; a zero time means none, a past one ends at once whatever waits.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline sets the deadline of Read, also of one that waits already.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline sets the deadline of Write, also of one that waits already.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

func (c *Conn) setDeadline(t time.Time, read, write bool) error {
	at := c.loop.engine.deadline(t)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	w := c.waits()
	if read {
		w.readAt = at
	}
	if write {
		w.writeAt = at
	}
	kick := w.expire()
	c.mu.Unlock()
	if kick {
		c.kick()
	}
	return nil
}

// passed reports whether the deadline at is over.
func (c *Conn) passed(at int64) bool {
	return at != 0 && c.loop.engine.clock.Now() >= at
}

// OnTimer is called by the worker's timers.
func (w *waits) OnTimer(*executor.Worker, *executor.Timer) {
	c := w.conn
	c.mu.Lock()
	w.armed = 0
	if w.expire() {
		c.reconcile()
	}
	c.mu.Unlock()
}

// expire ends what has outlived its deadline, and sets the timer for what has not. It reports whether reconcile has to
// run. mu is held.
func (w *waits) expire() (kick bool) {
	c := w.conn
	if w.reading && w.readAt != 0 {
		if c.passed(w.readAt) {
			w.read.Wake()
		} else {
			w.arm(w.readAt)
		}
	}
	if w.polling && w.writeAt != 0 {
		if c.passed(w.writeAt) {
			w.write.Wake()
		} else {
			w.arm(w.writeAt)
		}
	}
	if w.writeWaits && w.writeAt != 0 {
		if c.passed(w.writeAt) {
			c.out.cancel = true
			kick = true
		} else {
			w.arm(w.writeAt)
		}
	}
	if len(w.writers) > 0 && w.writeAt != 0 {
		if c.passed(w.writeAt) {
			w.passTurn() // it wakes the others
		} else {
			w.arm(w.writeAt)
		}
	}
	if w.lingerAt != 0 && !c.finished {
		if c.passed(w.lingerAt) {
			c.giveUp()
			kick = true
		} else {
			w.arm(w.lingerAt)
		}
	}
	return kick
}

// arm sets the timer for at, unless it goes off earlier anyway; OnTimer sets it anew for what is left.
func (w *waits) arm(at int64) {
	if w.armed == 0 || w.armed > at {
		w.armed = at
		w.timer.Set(at)
	}
}
