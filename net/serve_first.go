//go:build linux

package net

import (
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ServeConfig.FirstBytesTimeout. The handler may come to read late, or never by the engine, so that what counts is what the
// socket has received, not what anybody has read. TCP counts that itself. A Unix socket only tells what waits in it; what was
// taken out is counted by whoever took it.

// bounds are Serve's, for a connection that could not go to the engine: what it received, and its limits should it go later.
type bounds struct {
	receiveBuffers, writeQueue int
	received                   atomic.Uint64 // by the standard library
	untold                     atomic.Bool   // see stream.untold
}

// took counts what a read has returned; b may be nil. Bytes that it has taken and not returned yet count nowhere for that
// moment.
func (b *bounds) took(n int) {
	if b != nil && n > 0 {
		b.received.Add(uint64(n))
	}
}

// untold notes that bytes may be read whose number nobody tells here. TCP's own count has them.
func (c *stream) untold() {
	if c.isTCP() {
		return
	}
	if pc := c.conn.Load(); pc != nil {
		pc.Took(-1)
	}
	if c.rt != nil && c.rt.bounds != nil {
		c.rt.bounds.untold.Store(true)
	}
}

func (c *stream) isTCP() bool { return strings.HasPrefix(c.network, "tcp") }

// watchFirst closes conn when it has not received enough in time.
func (s *serving) watchFirst(v *served, conn Conn) {
	c := streamOf(conn)
	if s.cfg.FirstBytesTimeout == 0 || c == nil {
		return
	}
	v.first = time.AfterFunc(s.cfg.FirstBytesTimeout, func() {
		if !c.hasReceived(uint64(s.cfg.FirstBytes)) {
			c.cut()
		}
	})
}

// cut closes c without waiting for the end of that.
func (c *stream) cut() {
	if pc := c.engineConn(); pc != nil {
		_ = pc.Close()
		return
	}
	_ = c.Close()
}

// lookAgain is after how long the socket is looked at again, where the first look met a system call that takes bytes out of it.
const lookAgain = time.Millisecond

// hasReceived reports whether n bytes have come. It does, too, where c is closed or that cannot be told.
func (c *stream) hasReceived(n uint64) bool {
	for c.taken() < n {
		came, sure := uint64(0), false
		// The descriptor stays this connection's until the function returns, whoever closes it meanwhile.
		if (*rawConn)(c).Control(func(fd uintptr) { came, sure = c.came(int(fd)) }) != nil {
			return true
		}
		switch {
		case came >= n:
			return true
		case sure:
			return false
		}
		time.Sleep(lookAgain)
	}
	return true
}

// taken is how many bytes are known to have left the socket.
func (c *stream) taken() (n uint64) {
	if pc := c.conn.Load(); pc != nil {
		n = pc.Received()
	}
	if c.rt != nil && c.rt.bounds != nil {
		if c.rt.bounds.untold.Load() {
			return unknown
		}
		n += c.rt.bounds.received.Load()
	}
	return n
}

// unknown is more than any number of bytes.
const unknown = 1 << 63

// came is how many bytes have come to fd, at least. It is sure of that where nobody took any out of the socket meanwhile.
func (c *stream) came(fd int) (n uint64, sure bool) {
	before, busy := c.taken(), c.receiving()
	n = before + unread(fd)
	if c.isTCP() {
		return max(n, receivedTCP(fd)), true
	}
	return n, !busy && !c.receiving() && c.taken() == before
}

func (c *stream) receiving() bool {
	pc := c.conn.Load()
	return pc != nil && pc.Receiving()
}

// unread is how many bytes wait in the socket.
func unread(fd int) uint64 {
	n, err := unix.IoctlGetUint32(fd, unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return uint64(n)
}

// receivedTCP is how many bytes the kernel has received, in order, read or not. It is 0 where the kernel does not tell (before
// Linux 4.1). Of Multipath TCP it is the first path's.
func receivedTCP(fd int) uint64 {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	n := info.Bytes_received
	switch info.State {
	case tcpCloseWait, tcpLastAck, tcpClosing:
		// The end of the stream counts as a byte. Once both sides have ended (CLOSE) a reset and an end look alike; what is
		// told too much then holds up nobody.
		n = max(n, 1) - 1
	}
	return n
}

// States of TCP, from the kernel's net/tcp_states.h.
const (
	tcpCloseWait = 8
	tcpLastAck   = 9
	tcpClosing   = 11
)
