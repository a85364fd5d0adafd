//go:build linux

package net

import (
	"context"
	"errors"
	"io"
	stdnet "net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
)

// What UnixConn does as a datagram socket.

// ReadFrom reads a datagram, or what a stream has, and returns who sent it if that is known.
func (c *UnixConn) ReadFrom(b []byte) (int, Addr, error) {
	n, addr, err := c.ReadFromUnix(b)
	if addr == nil {
		return n, nil, err
	}
	return n, addr, err
}

// ReadFromUnix is ReadFrom with the address's own type.
func (c *UnixConn) ReadFromUnix(b []byte) (n int, addr *UnixAddr, err error) {
	if !c.ok() {
		return 0, nil, syscall.EINVAL
	}
	if !c.messageOnEngine() {
		n, addr, err = c.rt.stdUnix().ReadFromUnix(b)
		c.rt.bounds.took(n)
		if err == nil || n > 0 || !c.thrownOut(err) {
			return n, addr, err
		}
	}
	var from unix.Sockaddr
	var failed error
	pc := c.conn.Load()
	err = pc.ReceiveWith(func(fd int) bool {
		n, from, failed = unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		pc.Took(max(n, 0))
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case err != nil:
		n, err = 0, named("recvfrom", err)
	case failed != nil:
		n, err = 0, os.NewSyscallError("recvfrom", failed)
	case n == 0 && c.network != "unixgram":
		err = io.EOF
	}
	return n, c.sender(from), c.messageError("read", c.RemoteAddr(), err)
}

// WriteTo sends a datagram to addr, a *UnixAddr. On a connected socket it fails.
func (c *UnixConn) WriteTo(b []byte, addr Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	a, ok := addr.(*UnixAddr)
	if !ok {
		return 0, c.messageError("write", addr, syscall.EINVAL)
	}
	return c.WriteToUnix(b, a)
}

// WriteToUnix is WriteTo with the address's own type.
func (c *UnixConn) WriteToUnix(b []byte, addr *UnixAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.network == "unixgram" && c.messageOnEngine() {
		return c.writeToGram(b, addr)
	}
	if c.engineConn() == nil {
		n, err := c.rt.stdUnix().WriteToUnix(b, addr)
		if err == nil || n > 0 || !c.thrownOut(err) {
			return n, err
		}
		if c.network == "unixgram" {
			return c.writeToGram(b, addr)
		}
	}
	return c.writeToStream(b, addr)
}

var errMissingAddress = errors.New("missing address")

// writeToStream is WriteToUnix of a stream on the engine. The standard library refuses it of a connection that was dialled; of
// one that was accepted it leaves that to the kernel.
func (c *UnixConn) writeToStream(b []byte, addr *UnixAddr) (int, error) {
	if c.rt != nil {
		if n, err := c.rt.stdUnix().WriteToUnix(b, addr); !errors.Is(err, ErrClosed) {
			return n, err
		}
	}
	switch {
	case addr == nil:
		return 0, c.messageError("write", nil, errMissingAddress)
	case addr.Net != c.network:
		return 0, c.messageError("write", addr, syscall.EAFNOSUPPORT)
	}
	var failed error
	err := c.conn.Load().WriteWith(func(fd int) bool {
		failed = unix.Sendto(fd, b, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: addr.Name})
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	if err == nil {
		err = os.NewSyscallError("sendto", failed)
	}
	if err = named("sendto", err); err != nil {
		return 0, c.messageError("write", addr, err)
	}
	return len(b), nil
}

// Datagrams on the engine do not go by way of proactor.Conn's writing, which is for streams: an error there is the end of the
// sending, and here of one datagram. The standard library's socket is closed by then; what it says of wrong arguments it
// says before it looks at that.

// Write writes all of b, or returns how much of it was written and why not the rest. On a datagram socket it sends one
// datagram.
func (c *UnixConn) Write(b []byte) (int, error) {
	if c.ok() && c.network == "unixgram" && c.messageOnEngine() {
		return c.writeGram(context.Background(), b)
	}
	return c.stream.Write(b)
}

// WriteContext is Write that ends with ctx as well: the *OpError then holds ctx.Err(), and the number tells how much was
// written. The write is cancelled in the kernel, not abandoned: nothing of b is used after the return.
func (c *UnixConn) WriteContext(ctx context.Context, b []byte) (int, error) {
	if c.ok() && c.network == "unixgram" {
		if _, err := c.onEngineFor("write"); err != nil {
			return 0, err
		}
		return c.writeGram(ctx, b)
	}
	return c.stream.WriteContext(ctx, b)
}

// ReadLease is Read that hands over a buffer with what has arrived: all of a message, where the socket keeps their bounds.
// The caller releases it. In runtime mode it moves the connection to the engine.
func (c *UnixConn) ReadLease() (buffers.Lease, error) {
	if !c.ok() || c.network == "unix" {
		return c.stream.ReadLease()
	}
	m := wholeMessage{network: c.network}
	if c.conn.Load() == nil && c.toEngine() != nil {
		err := (*rawConn)(&c.stream).Read(func(fd uintptr) bool { return m.receive(int(fd)) })
		var failed *OpError
		if errors.As(err, &failed) {
			failed.Op = "read"
		}
		return m.lease(c, err)
	}
	pc := c.conn.Load()
	err := pc.ReceiveWith(func(fd int) bool {
		done := m.receive(fd)
		pc.Took(len(m.bytes))
		return done
	})
	return m.lease(c, c.opError("read", err))
}

// wholeMessage is a message that is read into memory of its own size.
type wholeMessage struct {
	network string
	bytes   []byte
	failed  error
}

// receive takes the next message. false means that there is none yet. Nobody else reads meanwhile.
func (m *wholeMessage) receive(fd int) bool {
	size, _, err := unix.Recvfrom(fd, nil, unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT)
	if err == nil {
		m.bytes = make([]byte, size)
		size, _, err = unix.Recvfrom(fd, m.bytes, unix.MSG_DONTWAIT)
	}
	if err == unix.EAGAIN || err == unix.EINTR {
		m.bytes = nil
		return false
	}
	m.bytes = m.bytes[:max(size, 0)]
	m.failed = os.NewSyscallError("read", err)
	return true
}

// lease is what ReadLease returns. err says why nothing was received.
func (m *wholeMessage) lease(c *UnixConn, err error) (buffers.Lease, error) {
	switch {
	case err != nil:
	case m.failed != nil:
		err = c.opError("read", m.failed)
	case len(m.bytes) == 0 && m.network != "unixgram":
		err = io.EOF
	default:
		return buffers.Wrap(m.bytes), nil
	}
	return buffers.Lease{}, err
}

// WriteLease writes the bytes of l like Write, and releases l in any case.
func (c *UnixConn) WriteLease(l buffers.Lease) error {
	if c.ok() && c.network == "unixgram" {
		_, err := c.Write(l.Bytes())
		l.Release()
		return err
	}
	return c.stream.WriteLease(l)
}

// writeGram sends b where the socket is connected.
func (c *UnixConn) writeGram(ctx context.Context, b []byte) (int, error) {
	err := c.sendGram(ctx, "write", func(fd int) error { return unix.Send(fd, b, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT) })
	if err != nil {
		return 0, c.messageError("write", c.RemoteAddr(), err)
	}
	return len(b), nil
}

func (c *UnixConn) writeToGram(b []byte, addr *UnixAddr) (int, error) {
	if n, err := c.rt.stdUnix().WriteToUnix(b, addr); !errors.Is(err, ErrClosed) {
		return n, err
	}
	to := &unix.SockaddrUnix{Name: addr.Name}
	err := c.sendGram(context.Background(), "sendto", func(fd int) error {
		return unix.Sendto(fd, b, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, to)
	})
	if err != nil {
		return 0, c.messageError("write", addr, err)
	}
	return len(b), nil
}

// writeBuffers is Buffers.WriteTo to a connection. A socket that keeps the bounds of messages sends one message.
func (c *UnixConn) writeBuffers(v *Buffers) (n int64, err error) {
	if !c.ok() || c.network == "unix" {
		return c.stream.writeBuffers(v)
	}
	if !c.messageOnEngine() {
		n, err = (*stdnet.Buffers)(v).WriteTo(c.rt.std)
		if err == nil || !c.thrownOut(err) {
			return n, err
		}
	}
	m, err := v.sendGrams(c.sendSlices)
	return n + m, c.opError("writev", err)
}

// sendSlices sends one message, or none if there are no slices.
func (c *UnixConn) sendSlices(slices [][]byte) error {
	send := func(fd int) error {
		if len(slices) == 0 {
			return nil
		}
		_, err := unix.SendmsgBuffers(fd, slices, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		return err
	}
	if c.network == "unixgram" {
		return c.sendGram(context.Background(), "writev", send)
	}
	var failed error
	err := c.conn.Load().WriteWith(func(fd int) bool {
		failed = send(fd)
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	if err == nil {
		err = os.NewSyscallError("writev", failed)
	}
	return named("writev", err)
}

// sendGram calls send until the receiver has room, whose queue is short (net.unix.max_dgram_qlen, 10). There is nothing to
// wait for: the kernel calls an unconnected socket writable however full the receiver is, and tells a connected one that
// it has room only if that one's poll has found it full, which a poll that waits for edges does once. So it is tried again
// after a while.
func (c *UnixConn) sendGram(ctx context.Context, call string, send func(fd int) error) error {
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, 2*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var failed error
		err := c.conn.Load().WriteWith(func(fd int) bool { failed = send(fd); return true })
		if err != nil {
			return err
		}
		if failed != unix.EAGAIN && failed != unix.EINTR {
			return os.NewSyscallError(call, failed)
		}
		executor.Sleep(pause)
	}
}

// ListenUnixgram opens a datagram socket on laddr; the network is unixgram.
func (s *Stack) ListenUnixgram(network string, laddr *UnixAddr) (*UnixConn, error) {
	uc, err := stdnet.ListenUnixgram(network, laddr)
	if err != nil {
		return nil, err
	}
	return s.wrapUnix(uc, network), nil
}

// ListenUnixgram opens a datagram socket on laddr; the network is unixgram.
func ListenUnixgram(network string, laddr *UnixAddr) (*UnixConn, error) {
	return defaultStack.ListenUnixgram(network, laddr)
}
