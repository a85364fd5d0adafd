//go:build linux

package proactor

import (
	"syscall"

	"github.com/ouro-io/ouro/executor"
)

// waits is what the blocking face of a Conn needs besides: who waits, and until when. The Conn's mu guards it.
//
// At most one Read waits in read, and one Write in write; others stand in the queues and try again when the one
// before them has left. A Read holds nothing that belongs to the backend, so it leaves as soon as it is woken, by
// data, deadline or Close. A Write's bytes are the backend's, so it is woken only by sendDone; a deadline or Close
// asks for the end of the send and waits for it like everyone else.
type waits struct {
	read, write      executor.Waiter
	reading          bool
	receiving        bool // who reads makes his system call, without mu
	passing          bool // the Conn is direct for as long as Reads are large
	score            int8 // of large Reads, see conn_bulk.go
	writeWaits       bool
	polling          bool // write waits for a writable socket, not for sendDone
	readers, writers []*executor.Waiter
	stopping         []*executor.Waiter // PauseReads, until the receive has ended
	readAt, writeAt  int64              // deadlines on the engine's clock, ns; 0 none
	lingerAt         int64
	closer           *executor.Waiter // CloseWait
	unbroken         int              // bytes read directly since a Read last had to wait, or looked at the clock
	turnEnds         int64            // of a reader that never had to wait, on the engine's clock; 0 before the first look
	turn             *bool            // of the WriteContext under way, for its context
	armed            int64            // what timer is set for, 0 when it is not
	timer            executor.Timer
	conn             *Conn
}

// again reports whether errno means no more than "not now".
func again(errno syscall.Errno) bool { return errno == syscall.EAGAIN || errno == syscall.EINTR }

// waits returns the blocking state, made at first use. mu is held.
func (c *Conn) waits() *waits {
	if c.wait == nil {
		c.setWaits(new(waits))
	}
	return c.wait
}

// setWaits makes w, which is zero, c's blocking state. mu is held.
func (c *Conn) setWaits(w *waits) {
	w.conn = c
	w.timer.Init(c.loop.w, w)
	c.wait = w
}

// wakeAll wakes all but who waits for sendDone. mu is held.
func (w *waits) wakeAll() {
	if w.reading {
		w.read.Wake()
	}
	if w.polling {
		w.write.Wake()
	}
	for _, q := range w.readers {
		q.Wake()
	}
	for _, q := range w.writers {
		q.Wake()
	}
	w.readers, w.writers = nil, nil
	w.wakeStopping()
}

func (w *waits) wakeStopping() {
	for _, q := range w.stopping {
		q.Wake()
	}
	w.stopping = nil
}

// queue waits at the end of q; mu is released meanwhile.
func (c *Conn) queue(q *[]*executor.Waiter) {
	w := new(executor.Waiter)
	w.PrepareNear(c.loop.w)
	*q = append(*q, w)
	c.mu.Unlock()
	w.Wait()
	c.mu.Lock()
}

// check is what a transfer of nothing returns.
func (c *Conn) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	return nil
}
