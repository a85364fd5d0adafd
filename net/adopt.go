//go:build linux

package net

import (
	"errors"
	stdnet "net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// runtimeConn is a connection in runtime mode: the standard library's, in the runtime's poller. When a coroutine uses
// it, it moves to the engine ("adoption"); where the engine is quicker for goroutines too (Stack.quicker), it also moves
// once it has been read from trialReads times. Moving takes about ten system calls, which a connection of one request
// would never earn back.
//
// How (mover has the states):
//
//  1. It departs.
//  2. The descriptor is duplicated, and std closed. Closing it ends every operation inside with ErrClosed and returns
//     when the last one has left, so nobody uses the old descriptor any more; closing one of two descriptors is no
//     shutdown.
//  3. It arrives: the engine's Conn has its deadlines, and is published in stream.conn.
//
// An operation that ErrClosed has thrown out waits for the arrival and goes on with the engine's Conn: a Read has taken
// nothing, a Write continues behind what it has written. While pinned > 0 (ReadFrom, WriteTo and raw access, which
// could not go on elsewhere) there is no adoption: the coroutine blocks its worker, which is handed over.
type runtimeConn struct {
	std   stdStream
	stack *Stack
	trial atomic.Int32 // Reads that are left until the move is considered; at 0 and below it is not any more

	mover
	pinned int // guarded by mu

	bounds *bounds // Serve's, where the connection could not go to the engine; set before its handler begins
}

// trialReads is after how many Reads of goroutines a connection may move to the engine.
const trialReads = 4

// errPinned says that the connection has to stay in runtime mode for now. It never reaches a user.
var errPinned = errors.New("connection stays in runtime mode for now")

// engineConn returns the engine's connection, nil in runtime mode. It waits while the connection moves.
func (c *stream) engineConn() *proactor.Conn {
	if pc := c.conn.Load(); pc != nil {
		return pc
	}
	c.rt.settle()
	return c.conn.Load()
}

// toEngine moves the connection to the engine. nil means that it is there.
func (c *stream) toEngine() error {
	r := c.rt
	if c.conn.Load() != nil {
		return nil
	}
	e, err := r.stack.engine()
	if err != nil {
		return err
	}
	if began, err := r.depart(func() bool { return r.pinned > 0 }); !began {
		return err
	}
	pc, next, err := r.move(e)
	r.arrive(next, r.std, pc, func() { c.conn.Store(pc) })
	return err
}

// move takes the socket from std to e. It returns the state that follows.
func (r *runtimeConn) move(e *proactor.Engine) (*proactor.Conn, runtimeState, error) {
	fd, err := duplicate(r.std)
	if err != nil {
		return nil, stateRuntime, err
	}
	_ = r.std.Close()
	pc, err := e.NewConn(fd)
	if err != nil {
		unix.Close(fd)
		return nil, stateClosed, err
	}
	if _, unixSocket := r.std.(*stdnet.UnixConn); unixSocket {
		pc.NoReadAhead()
	}
	if b := r.bounds; b != nil {
		pc.SetLimits(b.receiveBuffers, b.writeQueue)
	}
	return pc, stateEngine, nil
}

// duplicate copies the descriptor of c.
func duplicate(c syscall.Conn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var failed error
	if err := raw.Control(func(s uintptr) { fd, failed = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return fd, failed
}

// onEngineNow reports whether an operation is to run on the engine: a coroutine takes the connection there.
func (c *stream) onEngineNow() bool { return onCoroutine() && c.toEngine() == nil }

// thrownOut reports whether err ended an operation because the connection moved to the engine meanwhile.
func (c *stream) thrownOut(err error) bool {
	return errors.Is(err, ErrClosed) && c.engineConn() != nil
}

// triedOut counts a Read, and moves the connection to the engine if it is the last of the trial and the engine is quicker.
func (c *stream) triedOut() bool {
	r := c.rt
	return r.trial.Load() > 0 && r.trial.Add(-1) == 0 && r.stack.quicker() && c.toEngine() == nil
}

//go:noinline
func (c *stream) readRuntime(b []byte) (int, error) {
	if c.onEngineNow() || c.triedOut() {
		return c.Read(b)
	}
	n, err := c.rt.std.Read(b)
	c.rt.bounds.took(n)
	if err != nil && n == 0 && c.thrownOut(err) {
		return c.Read(b)
	}
	return n, err
}

//go:noinline
func (c *stream) writeRuntime(b []byte) (int, error) {
	if c.onEngineNow() {
		return c.Write(b)
	}
	n, err := c.rt.std.Write(b)
	if err != nil && c.thrownOut(err) {
		m, err := c.Write(b[n:])
		return n + m, err
	}
	return n, err
}

// readWrapped is ReadLease for a connection that cannot move to the engine.
func (c *stream) readWrapped() (buffers.Lease, error) {
	b := make([]byte, wrappedBytes)
	n, err := c.Read(b)
	if err != nil {
		return buffers.Lease{}, err
	}
	return buffers.Wrap(b[:n:n]), nil
}

const wrappedBytes = 4 << 10

func (c *stream) closeRuntime() error {
	r := c.rt
	r.mu.Lock()
	if r.state == stateMoving || r.state == stateEngine {
		r.mu.Unlock()
		return c.Close()
	}
	r.state = stateClosed
	r.mu.Unlock()
	return r.std.Close()
}

// deadlineRuntime sets deadlines in runtime mode, and notes them for the engine.
func (c *stream) deadlineRuntime(t time.Time, s side) error {
	r := c.rt
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(t, s)
	switch r.state {
	case stateMoving:
		return nil // arrive sets them
	case stateEngine:
		return c.ownError("set", setDeadline(c.conn.Load(), t, s))
	}
	return setDeadline(r.std, t, s)
}
