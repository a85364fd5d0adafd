//go:build linux

package proactor

import (
	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
)

// Handler is the callback face: it serves connections without a stack for each. Callbacks of one connection never
// overlap and come in the order OnOpen, OnData …, OnClose; they run on the connection's worker or on one that steals
// the work. A callback may block, but then the worker has to be handed over; code that usually blocks belongs on
// coroutines (package net's Serve).
//
// A callback that panics closes its connection; Config.Log is told, with the stack.
type Handler struct {
	// OnOpen is called first. May be nil.
	OnOpen func(c *Conn)
	// OnData is given bytes that arrived. It owns l: it releases it, or passes it on to Conn.Send.
	OnData func(c *Conn, l buffers.Lease)
	// OnClose is called once, when no more data will come and all of it was given to OnData. err is io.EOF, ErrClosed,
	// or what went wrong. The connection is closed afterwards, though what Send has accepted is still sent. May be nil.
	OnClose func(c *Conn, err error)
	// OnBacklog is called with true when what Send has queued for c has grown to more than half of its bound
	// (Config.WriteQueue, SetLimits), before any further OnData of c, and with false when it has gone down to a quarter, in
	// turns. A handler that answers on c itself and stops for that time (PauseRead, ResumeRead) never meets
	// ErrWriteQueueFull, as long as one OnData sends less than half of the bound. A source that is another connection
	// can be stopped so, too, but not before the OnData under way there. It is not called after Close. May be nil.
	OnBacklog func(c *Conn, long bool)
}

// handle makes h serve c, which nobody may have used yet.
func (c *Conn) handle(h *Handler) {
	c.task.Init(c, executor.Normal)
	c.mu.Lock()
	c.h = h
	c.wantRecv = true
	c.notify() // for OnOpen
	c.mu.Unlock()
	c.kick()
}

// toldOf is what the callbacks have been told of.
type toldOf uint8

const (
	toldOpen  toldOf = 1 << iota // OnOpen was called
	toldClose                    // OnClose was called
	toldLong                     // what OnBacklog was called with last
)

// RunTask calls the callbacks for whatever has happened since it last ran.
func (c *Conn) RunTask(*executor.Worker, *executor.Task) {
	ok := false
	defer func() {
		if !ok {
			_ = c.Close() // the callback panicked, or ended its goroutine
		}
	}()
	if c.told&toldOpen == 0 {
		c.told |= toldOpen
		if c.h.OnOpen != nil {
			c.h.OnOpen(c)
		}
	}
	for {
		l, backlog, err := c.nextEvent()
		if l.Valid() {
			c.h.OnData(c, l)
			continue
		}
		if backlog {
			c.h.OnBacklog(c, c.told&toldLong != 0)
			continue
		}
		if err != nil && c.told&toldClose == 0 {
			c.told |= toldClose
			if c.h.OnClose != nil {
				c.h.OnClose(c, err)
			}
			_ = c.Close()
		}
		break
	}
	ok = true
}

// nextEvent takes the oldest lease from the inbox, tells that the backlog's state has changed, or how the connection ended.
func (c *Conn) nextEvent() (l buffers.Lease, backlog bool, err error) {
	c.mu.Lock()
	if c.long != (c.told&toldLong != 0) && c.told&toldClose == 0 {
		c.told ^= toldLong
		c.mu.Unlock()
		return buffers.Lease{}, true, nil
	}
	if c.inbox.len() == 0 {
		err := c.rerr()
		if err == nil {
			err = c.werr()
		}
		c.mu.Unlock()
		return buffers.Lease{}, false, err
	}
	if c.halted && c.werr() == nil {
		c.mu.Unlock()
		return buffers.Lease{}, false, nil // until ResumeRead
	}
	l = c.inbox.pop()
	resume := c.taken()
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return l, false, nil
}

// swells notes that Send has queued more. mu is held.
func (c *Conn) swells() {
	if c.out.queued > c.writeQueue()/2 {
		c.setBacklog(true)
	}
}

func (c *Conn) setBacklog(long bool) {
	if c.long != long && c.h != nil && c.h.OnBacklog != nil && !c.closed {
		c.long = long
		c.notify()
	}
}
