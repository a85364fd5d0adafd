//go:build linux

package net

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// What connections can do besides what the standard library's can. All of it happens on the engine: a connection in
// runtime mode moves there. While a raw access, ReadFrom or WriteTo in runtime mode is under way it cannot, and the
// methods fail.

// errNotOurs is why Broadcast leaves a connection out.
var errNotOurs = fmt.Errorf("not a TCPConn or UnixConn of this package: %w", errors.ErrUnsupported)

// errDatagrams is why nothing can be queued.
var errDatagrams = fmt.Errorf("a datagram socket has no write queue: Write each datagram: %w", errors.ErrUnsupported)

// onEngineFor returns the engine's connection for an operation called op.
func (c *stream) onEngineFor(op string) (*proactor.Conn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	if pc := c.conn.Load(); pc != nil {
		return pc, nil
	}
	if err := c.toEngine(); err != nil {
		return nil, c.opError(op, err)
	}
	return c.conn.Load(), nil
}

// ReadContext is Read that ends with ctx as well: the *OpError then holds ctx.Err(). A ctx that has ended already reads
// nothing; where it ends while the Read waits, what has arrived by then is read first. The connection can be read on afterwards.
func (c *stream) ReadContext(ctx context.Context, b []byte) (int, error) {
	pc, err := c.onEngineFor("read")
	if err != nil {
		return 0, err
	}
	n, err := pc.ReadContext(ctx, b)
	return n, c.opError("read", err)
}

// WriteContext is Write that ends with ctx as well: the *OpError then holds ctx.Err(), and the number tells how much was
// written. The write is cancelled in the kernel, not abandoned: nothing of b is used after the return.
func (c *stream) WriteContext(ctx context.Context, b []byte) (int, error) {
	pc, err := c.onEngineFor("write")
	if err != nil {
		return 0, err
	}
	n, err := pc.WriteContext(ctx, b)
	return n, c.opError("write", err)
}

// queueFor is onEngineFor for what queues bytes, which only streams can.
func (c *stream) queueFor() (*proactor.Conn, error) {
	if c.ok() && c.network == "unixgram" {
		return nil, c.opError("write", errDatagrams)
	}
	return c.onEngineFor("write")
}

// SendLease queues the bytes of l to be written in order with everything else, and does not wait. It takes l over in any
// case. When the peer reads so slowly that more bytes wait than SetWriteQueueLimit allows, it fails with
// proactor.ErrWriteQueueFull and nothing is queued. What is queued is still sent after Close, for at most ten seconds.
func (c *stream) SendLease(l buffers.Lease) error {
	pc, err := c.queueFor()
	if err != nil {
		l.Release()
		return err
	}
	return c.opError("write", pc.Send(l))
}

// SetWriteQueueLimit bounds the bytes that SendLease and Broadcast keep for the connection, at least 1; a single lease
// that is longer is taken when nothing else waits. The default is proactor.Config.WriteQueue, 1 MiB. On a connection that
// was closed on the engine it does nothing, and returns nil.
func (c *stream) SetWriteQueueLimit(bytes int) error {
	pc, err := c.onEngineFor("set")
	if err != nil {
		return err
	}
	if bytes < 1 {
		return c.ownError("set", syscall.EINVAL)
	}
	pc.SetLimits(0, bytes)
	return nil
}

// PauseRead stops receiving, and returns when that has come to a stand. What has arrived by then can still be read; after
// that Read waits, until ResumeRead or its deadline, and the kernel slows the peer down. (Who does not read is paused
// anyway, once some buffers are full.) On a connection that was closed on the engine it does nothing, and returns nil.
func (c *stream) PauseRead() error {
	pc, err := c.onEngineFor("read")
	if err == nil {
		pc.PauseRead()
	}
	return err
}

// ResumeRead ends PauseRead. On a closed connection it is like PauseRead.
func (c *stream) ResumeRead() error {
	pc, err := c.onEngineFor("read")
	if err == nil {
		pc.ResumeRead()
	}
	return err
}

// Undelivered is a connection that did not take the bytes of a Broadcast.
type Undelivered struct {
	// Conn is the connection.
	Conn Conn
	// Err says why, an *OpError: proactor.ErrWriteQueueFull for a peer that reads too slowly, ErrClosed, an error of the
	// socket; errors.ErrUnsupported for a connection that is not a *TCPConn or *UnixConn of this package, or syscall.EINVAL
	// for nil and a zero one.
	Err error
}

// Broadcast sends the bytes of l to each of conns, like SendLease, without a copy for each: every connection holds a share
// of l, and the last one that has sent its share releases l. The sends of one worker's connections are one system call.
// It does not wait. A slow receiver holds up nobody: up to its write-queue limit it holds shares of what was broadcast,
// beyond it it gets nothing of this Broadcast and is returned, for the caller to close or to leave out. nil means that
// all have taken the bytes. Any goroutine or coroutine.
func Broadcast(l buffers.Lease, conns []Conn) (missed []Undelivered) {
	pcs := make([]*proactor.Conn, 0, len(conns))
	where := make([]int, 0, len(conns))
	for i, c := range conns {
		if isNil(c) {
			missed = append(missed, Undelivered{c, &OpError{Op: "write", Err: syscall.EINVAL}})
			continue
		}
		st := streamOf(c)
		if st == nil {
			missed = append(missed, Undelivered{c, &OpError{Op: "write", Net: networkOf(c), Addr: c.RemoteAddr(), Err: errNotOurs}})
			continue
		}
		pc, err := st.queueFor()
		if err != nil {
			missed = append(missed, Undelivered{c, err})
			continue
		}
		pcs, where = append(pcs, pc), append(where, i)
	}
	proactor.Broadcast(l, pcs, func(i int, err error) {
		c := conns[where[i]]
		missed = append(missed, Undelivered{c, streamOf(c).opError("write", err)})
	})
	return missed
}

// isNil reports whether there is no connection in c: nil, or one of this package's that is nil or zero.
func isNil(c Conn) bool {
	switch c := c.(type) {
	case nil:
		return true
	case *TCPConn:
		return c == nil || !c.ok()
	case *UnixConn:
		return c == nil || !c.ok()
	}
	return false
}
