//go:build linux

package proactor

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
)

// Read fills p with what has arrived, and waits when nothing has. The errors are io.EOF, ErrClosed,
// os.ErrDeadlineExceeded, or that of the system call.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, c.check()
	}
	c.mu.Lock()
	return c.read(noContext, p)
}

// read is Read. ctx may be nil. mu is held on entry and not on return.
func (c *Conn) read(ctx context.Context, p []byte) (int, error) {
	if c.received == 0 && !c.wantRecv {
		if n, err := c.readFirst(p); n > 0 || err != nil {
			c.mu.Unlock()
			return n, err
		}
	}
	for {
		err := c.awaitData(ctx)
		if err == errDirect {
			n, err := c.readDirect(ctx, p)
			if err == errAhead {
				continue
			}
			c.mu.Unlock()
			return n, err
		}
		if err != nil {
			c.mu.Unlock()
			return 0, err
		}
		break
	}
	n, resume := 0, false
	for n < len(p) && c.inbox.len() > 0 {
		m, done, again := c.takeFront(p[n:])
		n += m
		resume = resume || again
		done.Release()
	}
	if n >= c.loop.engine.bulk.size || c.wait != nil && c.wait.score > 0 {
		resume = c.scored(n) || resume
	}
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return n, nil
}

// readFirst tries a system call where nothing is received ahead yet: most clients speak first, so that their bytes are there when
// the handler begins, and a connection of one request needs no receive, no buffer and no wait for it. 0 and nil mean that there
// was nothing, or somebody else reads: the receive ahead is next. mu is held, and released meanwhile.
//
//go:noinline
func (c *Conn) readFirst(p []byte) (n int, err error) {
	if done, _ := c.readable(); done || c.recvOn || c.halted || c.wait != nil && c.wait.reading {
		return 0, nil
	}
	c.waits().reading = true // the turn
	n, errno := c.recvDirect(p)
	switch {
	case again(errno):
	case errno != 0:
		err = callError("read", errno)
	case n == 0:
		err = io.EOF
	}
	if n >= c.loop.engine.bulk.size {
		c.scored(n) // nothing is in flight that would need a kick
	}
	c.giveReadTurn()
	return n, err
}

// recvDirect makes one receive that does not wait. mu is held, and released meanwhile; the caller has the read turn.
func (c *Conn) recvDirect(p []byte) (int, syscall.Errno) {
	c.uses++
	c.wait.receiving = true
	c.mu.Unlock()
	n, errno := c.loop.engine.system.Recv(int(c.fd), p)
	c.mu.Lock()
	c.wait.receiving = false
	c.uses--
	c.count(n)
	return n, errno
}

// takeFront copies from the oldest lease of the inbox what fits. done is that lease if nothing is left of it, for the
// caller to release: releasing needs much stack, and the caller is less deep in it. resume tells that receiving is to be
// resumed by a kick. mu is held.
//
//go:noinline
func (c *Conn) takeFront(p []byte) (n int, done buffers.Lease, resume bool) {
	l := c.inbox.front()
	n = copy(p, l.Bytes())
	if n < l.Len() {
		*l = l.Slice(n, l.Len())
		return n, done, false
	}
	done = c.inbox.pop()
	return n, done, c.taken()
}

// ReadLease returns what has arrived without copying it, and waits when nothing has. The caller releases the lease; until
// then it counts against the loop's buffers, no longer against the connection's quota. Errors as Read's.
func (c *Conn) ReadLease() (buffers.Lease, error) {
	c.mu.Lock()
	c.readAhead()
	if err := c.awaitData(noContext); err != nil {
		if err == errDirect {
			return c.readDirectLease()
		}
		c.mu.Unlock()
		return buffers.Lease{}, err
	}
	return c.takeLease(), nil
}

// takeLease is apart from ReadLease because what it needs of the stack would be held by everyone who waits there.
//
//go:noinline
func (c *Conn) takeLease() buffers.Lease {
	l := c.inbox.pop()
	resume := c.taken()
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return l
}

//go:noinline
func (c *Conn) readDirectLease() (buffers.Lease, error) {
	p := make([]byte, rescueBytes)
	n, err := c.read(noContext, p)
	if err != nil {
		return buffers.Lease{}, err
	}
	return buffers.Wrap(p[:n:n]), nil
}

// errDirect says that nothing is received ahead (any more), so that the reader has to go on by readDirect. It never
// reaches a user.
var errDirect = errors.New("nothing is received ahead")

// errAhead says the opposite to who reads directly. It never reaches a user either.
var errAhead = errors.New("the engine receives ahead again")

// awaitData waits until the inbox holds something, or returns why it will not. mu is held on entry and on return.
//
// An idle coroutine waits below here on a stack of 2 KiB, half of which the runtime keeps for itself: its callers and
// callees are written for small frames (net's TestIdleStack counts).
func (c *Conn) awaitData(ctx context.Context) error {
	for {
		done, err := c.readable()
		if !done {
			err = ended(ctx)
		}
		if done || err != nil {
			// Whoever was woken out of the queue has to wake the next, whatever came of it; who waits for data does so then.
			if w := c.wait; w != nil && !w.reading {
				w.passRead()
			}
			return err
		}
		c.waitForData()
	}
}

// readable reports whether a Read is done waiting, and with what error.
func (c *Conn) readable() (bool, error) {
	switch {
	case c.closed:
		return true, ErrClosed
	case c.wait != nil && c.passed(c.wait.readAt):
		return true, os.ErrDeadlineExceeded
	case c.inbox.len() > 0:
		return true, nil
	case c.rerr() != nil:
		return true, c.readError()
	case c.direct:
		return true, errDirect
	}
	return false, nil
}

func (c *Conn) waitForData() {
	w := c.waits()
	if w.reading {
		c.queue(&w.readers)
		return
	}
	w.reading = true
	w.read.PrepareNear(c.loop.w)
	kick := !c.wantRecv
	c.wantRecv = true
	if w.readAt != 0 {
		w.arm(w.readAt)
	}
	c.mu.Unlock()
	if kick {
		// Once in a connection's life, so it need not be quick, and submitting would need more stack than an idle
		// coroutine has: the worker does it.
		c.loop.w.Command(&c.ctl)
	}
	w.read.Wait()
	c.mu.Lock()
	w.reading = false
	w.passRead()
}

// passRead lets the next Read try. mu is held.
func (w *waits) passRead() {
	if len(w.readers) > 0 {
		w.readers[0].Wake()
		w.readers = w.readers[1:]
	}
}
