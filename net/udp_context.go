//go:build linux

package net

import (
	"context"
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// What UDPConn can do with a context. All of it happens on the engine: a socket in runtime mode moves there.

// errExposed is why a socket cannot move.
var errExposed = errors.New("SyscallConn or File has given the descriptor away, so the socket stays in the runtime's poller: " +
	"use the context's method first, or a deadline")

// onEngineFor returns the socket's place on the engine for an operation called op.
func (c *UDPConn) onEngineFor(op string) (*proactor.PacketConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	err := c.toEngine()
	if err == nil {
		return c.pc.Load(), nil
	}
	if err == errPinned {
		err = errExposed
	}
	return nil, c.opError(op, nil, err)
}

// ReadContext is Read that ends with ctx as well: the *OpError then holds ctx.Err(). A ctx that has ended already reads
// nothing; where it ends while the Read waits, what has arrived by then is read first.
func (c *UDPConn) ReadContext(ctx context.Context, b []byte) (int, error) {
	n, _, err := c.ReadFromUDPAddrPortContext(ctx, b)
	return n, err
}

// ReadFromUDPAddrPortContext is ReadFromUDPAddrPort that ends with ctx as well: the *OpError then holds ctx.Err().
func (c *UDPConn) ReadFromUDPAddrPortContext(ctx context.Context, b []byte) (int, netip.AddrPort, error) {
	pc, err := c.onEngineFor("read")
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	r, err := pc.ReceiveContext(ctx, b, nil)
	if err != nil {
		return 0, netip.AddrPort{}, c.opError("read", nil, named("recvfrom", err))
	}
	return r.N, withZone(r.From, r.Zone), nil
}

// WriteContext is Write, to the address that the socket is connected to, that ends with ctx as well: the *OpError then
// holds ctx.Err(). It waits only where the socket has no room.
func (c *UDPConn) WriteContext(ctx context.Context, b []byte) (int, error) {
	pc, err := c.onEngineFor("write")
	if err != nil {
		return 0, err
	}
	var iov unix.Iovec
	var m [1]dgram.Msg
	m[0].Hdr.Iov = &iov
	m[0].Hdr.SetIovlen(1)
	if len(b) > 0 {
		iov.Base = &b[0]
		iov.SetLen(len(b))
	}
	if _, err := pc.WriteMsgsContext(ctx, m[:]); err != nil {
		return 0, c.opError("write", nil, named("write", err))
	}
	return int(m[0].N), nil
}
