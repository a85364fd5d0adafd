//go:build linux

package proactor

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
)

// Acceptor takes connections from a listening socket and spreads them over the engine's workers: one multishot accept
// on one worker, because several rings on one listener would not share evenly. All methods are safe from any
// goroutine.
//
// States: armed ─error─▶ armed again, at once or, where descriptors or memory lack, after a pause ─Close─▶ cancelling
// ─terminal completion─▶ ended. mu guards the fields below it; submitting and cancelling happen where the worker is
// owned, as for Conn. each is called in loop state.
type Acceptor struct {
	loop   *loop
	each   func(*Conn)
	sealed sealed // nil: anybody may set options on the listener

	calling bool // each is; the worker's

	mu     sync.Mutex
	fd     int
	on     bool // accept belongs to the backend
	paused bool // until timer fires
	held   bool // by Hold
	closed bool
	err    error         // why it ended
	ended  chan struct{} // closed at the end
	accept op.Op
	fence  fence
	pause  time.Duration
	timer  executor.Timer
	ctl    executor.Command
	tired  bool // the lack of descriptors was logged
}

// sealed is what a listener may be besides: it tells that nobody but its maker has ever had its descriptor, so that its
// connections have inherited no SO_LINGER. Package net's listeners know that; of any other each connection is asked at its
// close. (To ask the listener instead says nothing of connections that were made before: the option may have been set and
// unset meanwhile.)
type sealed interface{ Sealed() bool }

// How long accepting pauses when descriptors or memory lack, or the kernel does not wait: from the first to the second, doubling.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = 500 * time.Millisecond
)

// Accept calls each with every connection that arrives on l, a listening stream socket such as *net.TCPListener. each
// runs on a worker and must neither block nor panic. The Acceptor works on a duplicate of l's descriptor, which is
// switched to the engine's file mode: do not accept from l at the same time, and close the Acceptor before l.
func (e *Engine) Accept(l syscall.Conn, each func(*Conn)) (*Acceptor, error) {
	fd, err := e.duplicate(l)
	if err != nil {
		return nil, err
	}
	a := &Acceptor{loop: e.assign(), each: each, fd: fd, ended: make(chan struct{})}
	a.sealed, _ = l.(sealed)
	a.accept.Kind, a.accept.FD, a.accept.Done = op.Accept, int32(fd), a
	a.ctl.Init(a)
	a.timer.Init(a.loop.w, a)
	e.mu.Lock()
	if e.closing {
		e.mu.Unlock()
		e.system.Close(fd, op.Orderly)
		return nil, ErrShutdown
	}
	e.acceptors[a] = struct{}{}
	a.loop.load.Add(1)
	e.mu.Unlock()
	a.loop.w.Command(&a.ctl)
	return a, nil
}

// Serve has h serve every connection that arrives on l; see Accept.
func (e *Engine) Serve(l syscall.Conn, h Handler) (*Acceptor, error) {
	if h.OnData == nil {
		return nil, fmt.Errorf("proactor: Serve needs Handler.OnData")
	}
	return e.Accept(l, func(c *Conn) { c.handle(&h) })
}

// duplicate copies the descriptor of l, in the engine's file mode.
func (e *Engine) duplicate(l syscall.Conn) (int, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var errno syscall.Errno
	if err := raw.Control(func(s uintptr) { fd, errno = e.system.Duplicate(int(s), e.FileFlags()) }); err != nil {
		return -1, err
	}
	if errno != 0 {
		return -1, callError("fcntl", errno)
	}
	return fd, nil
}

// Close stops accepting and waits until the descriptor is closed; inside each, where nothing may wait, it only asks for
// that. Connections that were accepted live on. It returns ErrClosed when a was closed before.
func (a *Acceptor) Close() error {
	if !a.stop() {
		return ErrClosed
	}
	if s, ok := a.loop.w.Enter(); ok {
		within := a.calling // on its worker while each runs there: inside each
		s.Leave()
		if within {
			return nil
		}
	}
	return a.await()
}

// stop has a end soon. It reports false when a was closed before.
func (a *Acceptor) stop() bool {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return false
	}
	a.closed = true
	a.mu.Unlock()
	a.kick()
	return true
}

// Hold stops accepting, or lets it go on. What the kernel has accepted already still comes.
func (a *Acceptor) Hold(on bool) {
	a.mu.Lock()
	a.held = on
	a.mu.Unlock()
	a.kick()
}

// await waits for the end, on a coroutine too.
func (a *Acceptor) await() error {
	if executor.Current() == nil {
		<-a.ended
		return nil
	}
	var w executor.Waiter
	w.Prepare()
	go func() {
		<-a.ended
		w.Wake()
	}()
	w.Wait()
	return nil
}

// Wait waits until a has ended, and says why: ErrClosed after Close or the engine's shutdown.
func (a *Acceptor) Wait(ctx context.Context) error {
	select {
	case <-a.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *Acceptor) kick() {
	if s, ok := a.loop.w.Enter(); ok {
		a.mu.Lock()
		a.reconcile()
		a.mu.Unlock()
		s.Leave()
		return
	}
	a.loop.w.Command(&a.ctl)
}

// OnCommand is reconcile's way in from other goroutines.
func (a *Acceptor) OnCommand(*executor.Worker, *executor.Command) {
	a.mu.Lock()
	a.reconcile()
	a.mu.Unlock()
}

// OnTimer ends a pause.
func (a *Acceptor) OnTimer(*executor.Worker, *executor.Timer) {
	a.mu.Lock()
	a.paused = false
	a.reconcile()
	a.mu.Unlock()
}

// reconcile brings the accept to where the fields want it. mu is held, the worker owned.
func (a *Acceptor) reconcile() {
	switch {
	case a.fd < 0:
	case a.on && (a.closed || a.held):
		a.loop.backend.Cancel(&a.accept)
	case a.closed:
		if a.fence.passed(a.loop, a) {
			a.end(ErrClosed)
		}
	case !a.on && !a.paused && !a.held:
		if err := a.loop.backend.Submit(&a.accept); err != nil {
			a.end(err)
			return
		}
		a.on = true
		a.fence.need(a.loop)
	}
}

// Complete is told by the backend, in loop state.
func (a *Acceptor) Complete(o *op.Op, r *op.Completion) {
	a.mu.Lock()
	if o == &a.fence.op {
		a.fence.end()
		a.reconcile()
		a.mu.Unlock()
		return
	}
	if !a.on {
		a.mu.Unlock()
		a.loop.late(&a.accept, r)
		return
	}
	if !r.More {
		a.on = false
	}
	fd := -1
	switch {
	case r.Errno == 0:
		fd = int(r.Result)
		a.pause, a.tired = 0, false
	case a.closed || a.accept.Again(r) || r.Errno == syscall.ECANCELED:
	default:
		a.failed(r.Errno)
	}
	drop := a.closed
	if !a.on {
		a.reconcile()
	}
	a.mu.Unlock()
	switch {
	case fd < 0:
	case drop:
		a.loop.engine.system.Close(fd, op.Reset)
	default:
		c := newConn(a.loop.engine.assign(), fd, a.sealed == nil || !a.sealed.Sealed())
		a.calling = true
		a.each(c)
		a.calling = false
	}
}

// failed decides what an error of accept means.
func (a *Acceptor) failed(errno syscall.Errno) {
	switch errno {
	case syscall.ECONNABORTED, syscall.EPROTO, syscall.ENETDOWN, syscall.ENOPROTOOPT, syscall.EHOSTDOWN,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EPERM:
		// That connection's own matter: accept(2), "Error handling".
	case syscall.EAGAIN:
		// Nobody has come, and the kernel does not wait: another process that has the listener, to which it was handed over say,
		// has made it non-blocking. (Linux 6.18 waits all the same.) The next may come at once, so the pause stays short.
		a.pause = 0
		a.rest()
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		a.rest()
		if !a.tired {
			a.tired = true
			a.loop.engine.log(fmt.Sprintf("accept: %v; new connections wait until there is room (raise the limit of open files)", errno))
		}
	default:
		a.end(callError("accept4", errno))
	}
}

// rest has accepting pause, for longer each time. mu is held.
func (a *Acceptor) rest() {
	a.pause = min(max(2*a.pause, shortestPause), longestPause)
	a.paused = true
	a.timer.Set(a.loop.engine.clock.Now() + int64(a.pause))
}

// end closes the descriptor. mu is held.
func (a *Acceptor) end(err error) {
	if a.fd < 0 {
		return
	}
	e := a.loop.engine
	a.err, a.closed = err, true
	a.timer.Stop()
	a.loop.forget(a.fd)
	e.system.Close(a.fd, op.Orderly)
	a.fd = -1
	e.mu.Lock()
	delete(e.acceptors, a)
	e.mu.Unlock()
	a.loop.load.Add(-1)
	e.connEnded()
	close(a.ended)
}
