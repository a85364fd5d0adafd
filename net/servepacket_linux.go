//go:build linux

package net

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// Serve calls the handler for each datagram that arrives at c, until c is closed, and then returns an *OpError with
// ErrClosed; or until ctx ends: then it closes c and returns ctx's cause; or until the engine shuts down. It returns when
// the last handler has. A handler that panics is logged with its stack and ends nothing else.
//
// A *UDPConn of this package moves to its engine, unless SyscallConn or File has pinned it. It stays with one worker, as
// a socket's operations cannot move; handlers are stolen by other workers when they take long. For more than one worker
// can read and write, open several sockets with SO_REUSEPORT and serve each. Any other PacketConn is served on
// goroutines, 16 at most.
func (s PacketServer) Serve(ctx context.Context, c PacketConn) error {
	s, err := s.checked()
	if err != nil {
		return err
	}
	u, ok := c.(*UDPConn)
	if !ok {
		await(func() { err = s.onGoroutines(ctx, c) })
		return err
	}
	if !u.ok() {
		return unix.EINVAL
	}
	if s.GRO {
		if err := u.SetGRO(true); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
			return err
		}
	}
	await(func() {
		switch moved := u.toEngine(); {
		case moved == nil:
			err = s.onWorker(ctx, u)
		case errors.Is(moved, errPinned):
			err = s.onGoroutines(ctx, u)
		default:
			err = u.opError("read", nil, moved)
		}
	})
	return err
}

// packetServing is one Serve on the engine.
//
// Its handlers are run by coroutines that all do the same: take a datagram, call the handler. PacketConn wakes one of
// them at a time, which goes on as long as there is something; when its handler waits, the next one is woken. So each of
// them that serves wants one that waits behind it: whoever finds that it is the last starts another, up to the limit.
type packetServing struct {
	PacketServer
	c  *UDPConn
	pc *proactor.PacketConn

	mu    sync.Mutex
	live  int // coroutines
	idle  int // of them, those that wait for a datagram
	err   error
	ended chan struct{}
}

func (s PacketServer) onWorker(ctx context.Context, u *UDPConn) error {
	v := &packetServing{PacketServer: s, c: u, pc: u.pc.Load(), ended: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { _ = u.Close() })
	defer stop()
	v.mu.Lock()
	err := v.spawn()
	v.mu.Unlock()
	if err != nil {
		return u.opError("read", nil, err)
	}
	<-v.ended
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return v.err
}

// spawn starts a coroutine. mu is held.
func (v *packetServing) spawn() error {
	v.live++
	v.idle++
	err := v.pc.Worker().Start(new(executor.Coroutine), executor.Spawn{Run: v.run, Exit: v.exit, Goroutine: v.Goroutines})
	if err != nil {
		v.live--
		v.idle--
	}
	return err
}

// run takes datagrams and calls the handler.
func (v *packetServing) run() {
	t := &packetTask{r: engineReplier{v: v}}
	for {
		in, err := v.pc.ReadPacket()
		if err != nil && passes(err, executor.Sleep) {
			continue
		}
		v.mu.Lock()
		v.idle--
		if err != nil {
			if v.err == nil {
				v.err = v.c.opError("read", nil, named("recvmsg", err))
			}
			v.mu.Unlock()
			return
		}
		if v.idle == 0 && v.live < v.Concurrency {
			_ = v.spawn() // when it fails the engine is shutting down
		}
		v.mu.Unlock()
		t.serve(v, &in)
		v.mu.Lock()
		v.idle++
		v.mu.Unlock()
	}
}

// packetTask is what one coroutine shows to its handler, made once.
type packetTask struct {
	p Packet
	r engineReplier
}

// serve calls the handler for each datagram of in, and releases it, also when the handler panics.
func (t *packetTask) serve(v *packetServing, in *proactor.Packet) {
	defer in.Lease.Release()
	from, zone := dgram.ParseName(in.Name)
	t.r.name = in.Name
	rest := in.Payload
	for {
		data := rest
		if in.Segment > 0 && in.Segment < len(rest) {
			data = rest[:in.Segment:in.Segment]
		}
		rest = rest[len(data):]
		t.p = Packet{Data: data, From: withZone(from, zone), reply: &t.r,
			Truncated: len(rest) == 0 && in.Flags&unix.MSG_TRUNC != 0}
		v.Handler(&t.p)
		if len(rest) == 0 {
			return
		}
	}
}

// exit is told how a coroutine ended; one whose handler panicked is replaced.
func (v *packetServing) exit(err error) {
	v.mu.Lock()
	v.live--
	if err != nil && v.err == nil {
		if failed := v.spawn(); failed != nil {
			v.err = v.c.opError("read", nil, failed)
		}
	}
	last := v.live == 0
	v.mu.Unlock()
	if last {
		close(v.ended)
	}
}

// engineReplier answers on the engine, to the address as it came.
type engineReplier struct {
	v    *packetServing
	name []byte
}

func (r *engineReplier) reply(_ *Packet, b []byte) error {
	name := r.name
	if r.v.c.std.RemoteAddr() != nil {
		name = nil // connected
	}
	if err := r.v.pc.Send(b, name, nil); err != nil {
		return r.v.c.opError("write", nil, err)
	}
	return nil
}
