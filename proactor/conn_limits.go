//go:build linux

package proactor

import "math"

// What one connection may hold, where it is not what the engine's Config says for all.

// SetLimits bounds, for this connection, the buffers of unread bytes (Config.ReceiveQuota) and the bytes that Send keeps
// (Config.WriteQueue). 0 or less leaves a bound as it is; the new ones count from the next byte on. More than 65,535
// buffers count as 65,535, which is more than a worker has.
func (c *Conn) SetLimits(receiveBuffers, writeQueueBytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if receiveBuffers > 0 {
		c.quota = uint16(min(receiveBuffers, math.MaxUint16))
	}
	if writeQueueBytes > 0 {
		c.outMax = int32(min(writeQueueBytes, 1<<30))
	}
}

// Received is the number of bytes that have arrived since the connection was made, read or not. What callers of ReadWith
// have taken themselves counts as far as they say so (Took), and once one of them could not say how much, Received is more
// than any number of bytes.
func (c *Conn) Received() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received
}

// Took counts n bytes, received by a caller of ReadWith himself, for Received; n < 0 says that he cannot tell how many. Who
// calls it inside the function that he has given to ReadWith leaves no moment at which they are counted nowhere (Receiving).
func (c *Conn) Took(n int) {
	c.mu.Lock()
	if n < 0 {
		c.received = untold
	}
	c.count(n)
	c.mu.Unlock()
}

// untold is what received is from when nobody can tell it any more.
const untold = 1 << 63

// count adds to received. mu is held.
func (c *Conn) count(n int) {
	if n > 0 && c.received < untold {
		c.received += uint64(n)
	}
}

// Receiving reports whether a Read, or the function given to ReadWith, makes its system call in this moment: what it takes is
// in the socket no longer, and in Received not yet. Of what the engine receives ahead it tells nothing.
func (c *Conn) Receiving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wait != nil && c.wait.receiving
}

// Queued is the number of bytes that Send has accepted and the kernel has not taken yet.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil {
		return 0
	}
	return c.out.queued
}

func (c *Conn) receiveQuota() int {
	if c.quota > 0 {
		return int(c.quota)
	}
	return c.loop.engine.quota
}

func (c *Conn) writeQueue() int {
	if c.outMax > 0 {
		return int(c.outMax)
	}
	return c.loop.engine.writeQueue
}

// PauseRead stops receiving, and returns when that has come to a stand, or the connection was closed: what has arrived by
// then is still delivered, and after that a Read waits until ResumeRead, while TCP slows the peer down. (Who does not read
// is paused anyway, once ReceiveQuota buffers are full.) On a connection with a Handler it does not wait, and OnData is not
// called any more until ResumeRead; from OnData itself it is the last call before that. OnClose comes behind what was held
// back, which is delivered without ResumeRead once the connection cannot send any more. What is held back occupies the
// worker's receive buffers, up to ReceiveQuota of them and what the kernel has under way: with many paused peers bound it
// by SetLimits.
func (c *Conn) PauseRead() {
	c.halt(true)
	c.mu.Lock()
	for c.h == nil && c.recvOn && c.halted && !c.closed {
		c.queue(&c.waits().stopping)
	}
	c.mu.Unlock()
}

// ResumeRead ends PauseRead.
func (c *Conn) ResumeRead() { c.halt(false) }

func (c *Conn) halt(on bool) {
	c.mu.Lock()
	if c.halted == on || c.closed {
		c.mu.Unlock()
		return
	}
	c.halted = on
	if c.direct || c.h != nil && !on {
		c.notify()
	}
	if c.wait != nil {
		c.wait.wakeStopping() // those who waited for what is no longer wanted
	}
	c.mu.Unlock()
	c.kick()
}
