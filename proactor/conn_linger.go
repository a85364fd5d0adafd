//go:build linux

package proactor

import (
	"os"
	"time"
)

// lingerTime bounds how long a closed connection goes on sending what Send has accepted.
const lingerTime = 10 * time.Second

// forcedLinger is the same where the engine's shutdown closes the connection; it is less than graceTime.
const forcedLinger = time.Second

// hurry closes c for the engine's shutdown, also when it is closed and lingers.
func (c *Conn) hurry() {
	_ = c.Close()
	c.mu.Lock()
	if w := c.wait; !c.finished && w != nil && w.lingerAt != 0 {
		w.lingerAt = min(w.lingerAt, c.loop.engine.clock.Now()+int64(forcedLinger))
		w.arm(w.lingerAt)
	}
	c.mu.Unlock()
}

func (c *Conn) linger() {
	w := c.waits()
	w.lingerAt = c.loop.engine.clock.Now() + int64(lingerTime)
	w.arm(w.lingerAt)
}

// giveUp drops what a closed connection could not send in time, and resets the peer so that it learns of it.
func (c *Conn) giveUp() {
	c.discarded = true
	c.setWerr(os.ErrDeadlineExceeded)
	if c.sendOn {
		c.loop.backend.Cancel(c.out.send)
		return
	}
	c.finish()
}
