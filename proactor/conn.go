//go:build linux

package proactor

import (
	"io"
	"sync"
	"syscall"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
)

// Conn is a stream socket on an engine.
//
// States and owners. mu guards every field below it; it is never held while waiting. Two operations at most are in
// flight: recv (a multishot, or a single receive while buffers lack) and send. What *should* be in flight follows
// from the fields (wantRecv, inbox, out, closed), and reconcile brings the backend there. reconcile runs
// only where the loop's worker is owned: in a completion, in a command, or in code of that worker between Enter and
// Leave. Everybody else changes the fields and kicks.
//
//	receive:  off ─wantRecv─▶ armed ─inbox full─▶ cancelling ─▶ paused ─inbox low─▶ armed …
//	             armed ─ENOBUFS─▶ rescue (one receive into memory of its own) ─▶ armed
//	             armed ─end of file, error─▶ ended (rerr says how; the inbox is still delivered)
//	             armed ─large Reads─▶ direct ─small ones─▶ off (conn_bulk.go)
//	send:     idle ─out.bytes─▶ in flight ─short─▶ in flight … ─▶ idle
//
// What is only needed while something is sent, or once a side has ended, lies outside (out, ends): most connections of a
// busy server are idle, and each byte here is a byte for every one of them.
//
// Invariants:
//  1. recvOn (sendOn) is set exactly while recv (send) belongs to the backend.
//  2. out.bytes, and what it points to, is not touched by others while sendOn. out is set while sendOn, while writing, and
//     while Send has accepted bytes that are not sent.
//  3. fd is closed once, by finish, when closed and neither operation is in flight, no direct system call runs (uses),
//     nothing that Send accepted is left to send, and the kernel reads from no memory of ours (shared), unless the peer is
//     to be reset. So an fd number that was given away is never used.
//  4. Every lease in the inbox and in the queue of Send is released or handed to a caller.
type Conn struct {
	loop *loop
	mu   sync.Mutex

	// What is small stands together: 8 bytes more, and the Go allocator takes its next larger size.
	fd     int32
	outMax int32  // of out.queued, in bytes; 0 the engine's
	uses   int32  // direct system calls on fd that run without mu, and Write's turn
	fullIn uint32 // the turn in which the inbox came to hold the quota, 0 when it does not
	zcFrom int32  // SetZeroCopy
	shared int32  // sends without a copy that the kernel has not let go of
	quota  uint16 // of unread buffers; 0 the engine's

	wantRecv  bool
	recvOn    bool
	paused    bool // the inbox was full; stays until it is low
	sendOn    bool
	writing   bool // a Write has the turn; out is its
	closed    bool
	finished  bool
	discarded bool   // bytes arrived that nobody will read
	halted    bool   // by PauseRead
	direct    bool   // Read makes the system calls; recv is not used
	shutWrite bool   // by awaitShared
	exposed   bool   // somebody may have set SO_LINGER: he has had fd, or the listener's, or it came from outside
	long      bool   // much is queued; OnBacklog
	told      toldOf // belongs to RunTask

	local *Addr // shared by the connections of a loop that have the same
	peer  Addr

	recv     op.Op
	inbox    leaseQueue
	out      *outgoing
	ends     *ends
	received uint64

	ctl   executor.Command
	task  executor.Task // runs the callbacks; only used with a handler
	h     *Handler
	wait  *waits // the blocking face, made at its first use
	polls *polls // made at the first use of conn_poll.go

	prev, next *Conn // in loop.conns
	value      any
}

// ends says how the two sides of a connection ended; nil is a side that is open.
type ends struct{ read, write error }

// rerr is how receiving ended; nil as long as it goes on. The inbox is still delivered.
func (c *Conn) rerr() error {
	if c.ends == nil {
		return nil
	}
	return c.ends.read
}

// werr is how sending ended.
func (c *Conn) werr() error {
	if c.ends == nil {
		return nil
	}
	return c.ends.write
}

func (c *Conn) setRerr(err error) { c.ended().read = err }
func (c *Conn) setWerr(err error) { c.ended().write = err }

func (c *Conn) ended() *ends {
	if c.ends == nil {
		c.ends = new(ends)
	}
	return c.ends
}

// rescueBytes is how much one receive takes when the loop's buffers are all in use.
const rescueBytes = 4 << 10

// newConn binds fd, which must be non-blocking, to l. The engine owns fd from here on. exposed is the Conn's field.
func newConn(l *loop, fd int, exposed bool) *Conn {
	c := &Conn{loop: l, fd: int32(fd), exposed: exposed}
	c.local, c.peer = l.endpoints(fd)
	c.recv.Done, c.recv.FD = c, c.fd
	c.ctl.Init(c)
	l.add(c)
	return c
}

// LocalAddr is the socket's own address; it stays known after Close.
func (c *Conn) LocalAddr() Addr { return *c.local }

// RemoteAddr is the peer's address; it stays known after Close.
func (c *Conn) RemoteAddr() Addr { return c.peer }

// Engine is the engine that the connection runs on.
func (c *Conn) Engine() *Engine { return c.loop.engine }

// Value is what SetValue has set. Not synchronised: for the code that serves the connection.
func (c *Conn) Value() any { return c.value }

// SetValue keeps v with the connection.
func (c *Conn) SetValue(v any) { c.value = v }

// Control calls f with the descriptor, which stays valid until f returns. f must not wait, must not close it, and must
// not switch it to blocking mode.
func (c *Conn) Control(f func(fd int) error) error { return c.use(f, true) }

// use is Control. f exposes the descriptor when it is not the engine's own.
func (c *Conn) use(f func(fd int) error, exposes bool) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.uses++
	c.exposed = c.exposed || exposes
	c.mu.Unlock()
	defer c.release() // also where f panics: a Close would wait for good
	return f(int(c.fd))
}

// release ends a use of fd.
func (c *Conn) release() {
	c.mu.Lock()
	c.uses--
	c.finish()
	c.mu.Unlock()
}

// shutdown is shutdown(2), in order with what Send has accepted only as far as that has been sent.
func (c *Conn) shutdown(how int) error {
	return c.use(func(fd int) error {
		if errno := c.loop.engine.system.Shutdown(fd, how); errno != 0 {
			return callError("shutdown", errno)
		}
		return nil
	}, false)
}

// CloseRead shuts the reading side down: a Read that waits returns io.EOF.
func (c *Conn) CloseRead() error { return c.shutdown(syscall.SHUT_RD) }

// CloseWrite shuts the writing side down: the peer reads to the end of file.
func (c *Conn) CloseWrite() error { return c.shutdown(syscall.SHUT_WR) }

// kick has reconcile run: here when the caller is on the worker, else by a command. It reports false when the worker has
// ended, with which everything of the connection has.
func (c *Conn) kick() bool {
	if s, ok := c.loop.w.Enter(); ok {
		c.mu.Lock()
		c.reconcile()
		c.mu.Unlock()
		s.Leave()
		return true
	}
	return c.loop.w.Command(&c.ctl)
}

// OnCommand is reconcile's way in from other goroutines.
func (c *Conn) OnCommand(*executor.Worker, *executor.Command) {
	c.mu.Lock()
	c.reconcile()
	c.mu.Unlock()
}

// reconcile submits and cancels until what is in flight is what should be. mu is held, the worker owned.
func (c *Conn) reconcile() {
	switch {
	case c.recvOn && !c.wantsRecv():
		c.loop.backend.Cancel(&c.recv)
	case !c.recvOn && c.wantsRecv():
		c.startRecv(op.Recv)
	}
	switch {
	case c.sendOn && c.stopsSend():
		c.loop.backend.Cancel(c.out.send)
	case c.sendOn || len(c.outBytes()) == 0 || c.werr() != nil:
	case c.stopsSend():
		c.sendDone()
	default:
		c.startSend()
	}
	c.reconcilePolls()
	c.finish()
}

// stopsSend reports whether the send under way is to end now. What Send has accepted goes on after Close, until it
// fails or is given up.
func (c *Conn) stopsSend() bool { return c.out.cancel || c.closed && c.writing || c.werr() != nil }

func (c *Conn) wantsRecv() bool {
	return c.wantRecv && !c.direct && !c.halted && !c.closed && !c.paused && c.rerr() == nil
}

// Complete is told by the backend, in loop state.
func (c *Conn) Complete(o *op.Op, r *op.Completion) {
	c.mu.Lock()
	switch {
	case o == &c.recv && c.recvOn:
		c.onRecv(r)
	case c.out != nil && o == c.out.send:
		c.onSend(r)
	case c.onPoll(o, r):
	default:
		c.loop.late(o, r)
	}
	c.finish()
	c.mu.Unlock()
}

// Close closes the connection: whoever waits on it returns ErrClosed, once. What Send has accepted is still sent, for
// at most lingerTime, unless it stands behind a Write that Close cut short: then the peer is reset. As with any TCP socket,
// bytes that arrived and were not read reset the peer. The descriptor is closed a moment later, when the kernel has let go of
// what was in flight; CloseWait waits for that.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.shut()
	busy := !c.finished
	c.mu.Unlock()
	if busy {
		c.kick()
	}
	return nil
}

// CloseWait is Close that returns when the descriptor is closed, so that the peer has been told: what package net promises.
// It does not wait for what Send has accepted, nor for memory that the kernel still holds (SetZeroCopy), nor where the caller
// may not wait (executor.MayWait).
func (c *Conn) CloseWait() error {
	if !executor.MayWait(c.loop.w) {
		return c.Close()
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	var w *executor.Waiter
	if c.exposed { // finish may have a goroutine close it
		w = c.awaitClose()
	}
	c.shut()
	if w == nil {
		if c.finished {
			c.mu.Unlock()
			return nil
		}
		w = c.awaitClose()
	}
	late := c.outPending() || c.shared > 0
	busy := !c.finished
	c.mu.Unlock()
	if busy && !c.kick() || late {
		if w.Disarm() {
			return nil
		}
	}
	w.Wait()
	return nil
}

// awaitClose prepares to wait for closeFD. mu is held.
func (c *Conn) awaitClose() *executor.Waiter {
	w := new(executor.Waiter)
	w.PrepareNear(c.loop.w)
	c.waits().closer = w
	return w
}

// shut marks c closed, and finishes it when nothing is in flight. mu is held.
func (c *Conn) shut() {
	c.closed = true
	if c.inbox.len() > 0 {
		c.discarded = true
		c.inbox.drop()
	}
	if c.rerr() == nil {
		c.setRerr(ErrClosed)
	}
	if c.outPending() || c.shared > 0 {
		c.linger()
	}
	if c.wait != nil {
		c.wait.wakeAll()
	}
	c.notify()
	c.finish()
}

// outPending reports whether Send has accepted bytes that are not sent yet.
func (c *Conn) outPending() bool {
	return c.out != nil && (c.out.lease.Valid() || c.out.queue.len() > 0) && c.werr() == nil
}

// finish closes the descriptor once nothing needs it any more. mu is held; any goroutine.
func (c *Conn) finish() {
	if !c.closed || c.finished || c.recvOn || c.sendOn || c.polled() || c.uses > 0 || c.outPending() {
		return
	}
	if c.shared > 0 && !c.discarded {
		c.awaitShared()
		return
	}
	if !c.loop.forget(int(c.fd)) && c.loop.w.Command(&c.ctl) {
		return // reconcile finishes
	}
	c.finished = true
	if o := c.out; o != nil {
		o.drop()
		if !c.writing {
			o.bytes = nil
		}
		c.restOut()
	}
	if c.wait != nil {
		c.wait.timer.Stop()
		c.wait.write.Wake() // its kick may find the worker gone by now, as nothing here keeps that any more
	}
	if c.exposed && !c.discarded && c.loop.engine.system.Lingers(int(c.fd)) {
		go c.closeFD(op.Waiting) // for as long as the user has set, and the worker must not
		return
	}
	how := op.Orderly
	if c.discarded {
		how = op.Reset
	}
	c.closeFD(how)
}

// closeFD is the end of c: nobody uses fd, and nobody will.
func (c *Conn) closeFD(how op.Closing) {
	c.loop.engine.system.Close(int(c.fd), how)
	if c.wait != nil && c.wait.closer != nil {
		c.wait.closer.Wake()
	}
	c.loop.remove(c)
}

var (
	_ io.ReadWriteCloser = (*Conn)(nil)
	_ op.Completer       = (*Conn)(nil)
)
