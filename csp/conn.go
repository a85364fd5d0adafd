package csp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/net"
)

// FromConn makes a channel of the frames that conn brings, read by a child of s. It is closed at the end of the stream,
// at an error, which is the child's and so cancels s, and when s is cancelled; a read deadline of
// conn is taken off then. conn itself stays open.
//
// Backpressure: at most capacity frames and one more are held. When nobody receives, conn is not read, and the peer is
// slowed down by TCP.
//
// The child is a coroutine when conn is a connection of this module's package net, else a goroutine. Errors are those of
// Scope.Go; it panics when capacity is out of its limits.
func FromConn(s *executor.Scope, conn net.Conn, f Framing, capacity int) (*Chan[[]byte], error) {
	out := New[[]byte](capacity)
	err := s.GoAs(childFor(conn), func(ctx context.Context) error {
		defer out.Close()
		defer interrupt(ctx, conn.SetReadDeadline)()
		for r := bufio.NewReader(conn); ; {
			frame, err := f.ReadFrame(r)
			if err == nil {
				err = out.SendContext(ctx, frame)
			}
			if err == nil {
				continue
			}
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			return err
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ToConn makes a channel whose frames are written to conn by a child of s. Close it to say that there are no more; what
// was sent before is written. At an error, which is the child's and so cancels s, and when s is cancelled it is closed
// from this side: use SendContext or TrySend, which tell that by ErrClosed. Close may be called all the same. A write
// deadline of conn is taken off when s is cancelled. conn itself stays open.
//
// Backpressure: at most capacity frames are held, besides one and the buffer that is being written. Frames that are there
// at the same time are written together.
//
// The child is a coroutine or a goroutine as for FromConn. Errors are those of Scope.Go; it panics when capacity is out
// of its limits.
func ToConn(s *executor.Scope, conn net.Conn, f Framing, capacity int) (*Chan[[]byte], error) {
	in := New[[]byte](capacity)
	err := s.GoAs(childFor(conn), func(ctx context.Context) error {
		defer in.shut()
		defer interrupt(ctx, conn.SetWriteDeadline)()
		err := writeFrames(ctx, bufio.NewWriter(conn), f, in)
		if ctx.Err() != nil {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// writeFrames writes what comes, and flushes when nothing more is there.
func writeFrames(ctx context.Context, w *bufio.Writer, f Framing, in *Chan[[]byte]) error {
	for {
		frame, err := in.TryRecv()
		if err == ErrWouldBlock {
			if err := w.Flush(); err != nil {
				return err
			}
			frame, err = in.RecvContext(ctx)
		}
		switch {
		case err == ErrClosed:
			return w.Flush()
		case err != nil:
			return err
		}
		if err := f.WriteFrame(w, frame); err != nil {
			return err
		}
	}
}

// interrupt sets a deadline that has passed when ctx ends, until release is called, which takes it back.
func interrupt(ctx context.Context, set func(time.Time) error) (release func()) {
	var done Oneshot[struct{}]
	stop := context.AfterFunc(ctx, func() {
		_ = set(past)
		done.Close()
	})
	return func() {
		if !stop() {
			done.Recv()
			_ = set(time.Time{})
		}
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// childFor tells how to run what blocks on conn.
func childFor(conn net.Conn) executor.Child {
	_, ours := conn.(interface {
		ReadLease() (buffers.Lease, error)
	})
	return executor.Child{Goroutine: !ours}
}
