//go:build linux

package proactor

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/buffers"
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
	writeWaits       bool
	polling          bool // write waits for a writable socket, not for sendDone
	readers, writers []*executor.Waiter
	stopping         []*executor.Waiter // PauseReads, until the receive has ended
	readAt, writeAt  int64              // deadlines on the engine's clock, ns; 0 none
	lingerAt         int64
	turn             *bool // of the WriteContext under way, for its context
	armed            int64 // what timer is set for, 0 when it is not
	timer            executor.Timer
	conn             *Conn
}

// again reports whether errno means no more than "not now".
func again(errno syscall.Errno) bool { return errno == syscall.EAGAIN || errno == syscall.EINTR }

// waits returns the blocking state, made at first use. mu is held.
func (c *Conn) waits() *waits {
	if c.wait == nil {
		c.wait = &waits{conn: c}
		c.wait.timer.Init(c.loop.w, c.wait)
	}
	return c.wait
}

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

// passTurn lets the next Write try. mu is held.
func (w *waits) passTurn() {
	if len(w.writers) > 0 {
		w.writers[0].Wake()
		w.writers = w.writers[1:]
	}
}

func (w *waits) passRead() {
	if len(w.readers) > 0 {
		w.readers[0].Wake()
		w.readers = w.readers[1:]
	}
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

// Read fills p with what has arrived, and waits when nothing has. The errors are io.EOF, ErrClosed,
// os.ErrDeadlineExceeded, or that of the system call.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, c.check()
	}
	c.mu.Lock()
	if c.direct {
		return c.readDirect(noContext, p)
	}
	return c.readInbox(noContext, p)
}

// readInbox is Read where the engine reads ahead. ctx may be nil. mu is held on entry and not on return.
func (c *Conn) readInbox(ctx context.Context, p []byte) (int, error) {
	if err := c.awaitData(ctx); err != nil {
		if err == errDirect {
			return c.readDirect(ctx, p)
		}
		c.mu.Unlock()
		return 0, err
	}
	n, resume := 0, false
	for n < len(p) && c.inbox.len() > 0 {
		m, done, again := c.takeFront(p[n:])
		n += m
		resume = resume || again
		done.Release()
	}
	c.mu.Unlock()
	if resume {
		c.kick()
	}
	return n, nil
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

// check is what a transfer of nothing returns.
func (c *Conn) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	return nil
}

// ReadLease returns what has arrived without copying it, and waits when nothing has. The caller releases the lease; until
// then it counts against the loop's buffers, no longer against the connection's quota. Errors as Read's.
func (c *Conn) ReadLease() (buffers.Lease, error) {
	c.mu.Lock()
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
	n, err := c.readDirect(noContext, p)
	if err != nil {
		return buffers.Lease{}, err
	}
	return buffers.Wrap(p[:n:n]), nil
}

// errDirect says that nothing is received ahead (any more), so that the reader has to go on by readDirect. It never
// reaches a user.
var errDirect = errors.New("nothing is received ahead")

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

// Write sends all of p, and waits until the kernel has taken it. It returns how much was sent, and with less than len(p)
// why: ErrClosed, os.ErrDeadlineExceeded, or the error of the system call. Writes are atomic among each other.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if err := c.takeTurn(noContext); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	return c.writeTurn(p)
}

// writeTurn is Write by who has the turn. mu is held on entry and not on return.
func (c *Conn) writeTurn(p []byte) (int, error) {
	c.beginWrite()
	if len(p) == 0 {
		return 0, c.writeNothing()
	}
	if !c.loop.batches || !c.writeBatched(p) {
		c.writeDirect(p)
	}
	return c.endWrite(len(p))
}

// writeBatched leaves p to the turn's next system call, and waits. It reports false, and has done nothing, when there is
// no turn to share: on other goroutines, and when nobody else is ready, where a system call of its own costs no more
// and needs no wait. mu is held on entry, and on return if it was refused.
func (c *Conn) writeBatched(p []byte) bool {
	s, ok := c.loop.w.Enter()
	if !ok {
		return false
	}
	if c.loop.w.Alone() {
		s.Leave()
		return false
	}
	c.out.bytes = p
	w := c.armWrite()
	c.startSend()
	c.mu.Unlock()
	s.Leave()
	w.Wait()
	return true
}

// takeTurn waits until no other Write and nothing from Send is under way. mu is held.
func (c *Conn) takeTurn(ctx context.Context) error {
	err := c.awaitWriteTurn(ctx)
	if err != nil && c.wait != nil {
		c.wait.passTurn()
	}
	return err
}

func (c *Conn) awaitWriteTurn(ctx context.Context) error {
	for {
		if c.closed {
			return ErrClosed
		}
		if w := c.wait; w != nil && c.passed(w.writeAt) {
			return os.ErrDeadlineExceeded
		}
		if c.werr() != nil {
			return c.writeError()
		}
		if !c.writing && len(c.outBytes()) == 0 {
			return nil
		}
		if err := ended(ctx); err != nil {
			return err
		}
		w := c.waits()
		if w.writeAt != 0 {
			w.arm(w.writeAt)
		}
		c.queue(&w.writers)
	}
}

// armWrite makes ready to wait for sendDone.
func (c *Conn) armWrite() *executor.Waiter {
	w := c.waits()
	w.write.PrepareNear(c.loop.w)
	w.writeWaits = true
	if w.writeAt != 0 {
		w.arm(w.writeAt)
	}
	return &w.write
}

// writeDirect tries the system call at once, and leaves to the backend what the socket does not take. Until then out
// stays empty, lest a reconcile for another reason has the backend send the same. mu is held on entry and not on
// return.
func (c *Conn) writeDirect(p []byte) {
	c.uses++
	c.mu.Unlock()
	n, errno := c.loop.engine.system.Send(int(c.fd), p)
	c.mu.Lock()
	c.uses--
	c.out.sent, c.out.bytes = n, p[n:]
	if errno != 0 && !again(errno) {
		c.setWerr(callError("write", errno))
	}
	if len(c.out.bytes) == 0 || c.werr() != nil || c.closed {
		c.mu.Unlock()
		return
	}
	w := c.armWrite()
	c.mu.Unlock()
	c.kick()
	w.Wait()
}

// writeNothing makes the system call all the same: it tells of errors, and on a socket with messages sends an empty one.
// mu is held on entry and not on return.
func (c *Conn) writeNothing() error {
	c.uses++
	c.mu.Unlock()
	_, errno := c.loop.engine.system.Send(int(c.fd), nil)
	c.mu.Lock()
	c.uses--
	var err error
	if errno != 0 && !again(errno) {
		c.setWerr(callError("write", errno))
		err = c.writeError()
	}
	c.mu.Unlock()
	_, _ = c.endWrite(0)
	return err
}

// endWrite gives the turn back and says what became of the Write.
func (c *Conn) endWrite(want int) (int, error) {
	c.mu.Lock()
	o := c.out
	n := o.sent
	var err error
	if n < want {
		switch {
		case c.closed:
			err = ErrClosed
		case c.werr() != nil:
			err = c.writeError()
		default:
			err = os.ErrDeadlineExceeded
		}
	}
	o.bytes, o.sent, o.cancel = nil, 0, false
	c.writing = false
	if w := c.wait; w != nil {
		w.writeWaits, w.turn = false, nil
	}
	if n < want && c.closed && o.queue.len() > 0 {
		// What Send has queued behind the Write must not follow its stump; the reset tells the peer.
		o.drop()
		c.discarded = true
	}
	next := o.queue.len() > 0 && c.werr() == nil
	if next {
		o.next()
	} else {
		c.restOut()
		if c.wait != nil {
			c.wait.passTurn()
		}
	}
	c.finish()
	c.mu.Unlock()
	if next {
		c.kick()
	}
	return n, err
}

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
