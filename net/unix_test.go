//go:build linux

package net

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

var unixNetworks = []string{"unix", "abstract", "unixpacket"}

// compareUnix is compare for each network of Unix sockets with connections.
func compareUnix(t *testing.T, body func(r *record, c, s unixConn)) {
	for _, network := range unixNetworks {
		t.Run(network, func(t *testing.T) {
			compare(t, func(r *record) {
				c, s := r.pair(network)
				body(r, c.(unixConn), s.(unixConn))
			})
		})
	}
}

// Descriptors that come beside bytes reach who asks for them, also between bytes that are just read.
func TestDescriptorPassing(t *testing.T) {
	compareUnix(t, func(r *record, c, s unixConn) {
		b, oob := make([]byte, 64), make([]byte, 256)
		var want [3]uint64
		for i := range want {
			f, err := os.CreateTemp(r.t.TempDir(), "passed")
			require.NoError(r.t, err)
			var st unix.Stat_t
			require.NoError(r.t, unix.Fstat(int(f.Fd()), &st))
			want[i] = st.Ino
			_, err = c.Write([]byte("plain"))
			r.err("write", err)
			n, oobn, err := c.WriteMsgUnix([]byte("with"), unix.UnixRights(int(f.Fd())), nil)
			r.note("write message", int64(n), err)
			require.Positive(r.t, oobn)
			f.Close()
		}
		for i := range want {
			n, err := s.Read(b[:5])
			r.note("read "+string(b[:n]), int64(n), err)
			n, oobn, flags, addr, err := s.ReadMsgUnix(b, oob)
			r.note(fmt.Sprint("read message ", string(b[:n]), oobn, flags, addr), int64(n), err)
			require.Equal(r.t, want[i], inodeOf(r.t, oob[:oobn]))
		}
		// To read, without asking for it, drops the descriptor.
		_, _, err := c.WriteMsgUnix([]byte("lost"), unix.UnixRights(0), nil)
		r.err("write message", err)
		n, err := s.Read(b)
		r.note("read "+string(b[:n]), int64(n), err)
		// Nothing but a descriptor is one byte.
		n, oobn, err := c.WriteMsgUnix(nil, unix.UnixRights(0), nil)
		r.note(fmt.Sprint("write only a descriptor", oobn), int64(n), err)
		n, oobn, flags, _, err := s.ReadMsgUnix(nil, oob)
		r.note(fmt.Sprint("read only a descriptor", oobn, flags), int64(n), err)
		inodeOf(r.t, oob[:oobn])
		r.err("close", c.Close())
		n, _, _, _, err = s.ReadMsgUnix(b, oob)
		r.note("at the end", int64(n), err)
		n, err = s.Read(b)
		r.note("at the end", int64(n), err)
	})
}

// inodeOf closes the one descriptor that came in oob, and returns its file's number.
func inodeOf(t testing.TB, oob []byte) uint64 {
	msgs, err := syscall.ParseSocketControlMessage(oob)
	require.NoError(t, err)
	require.Len(t, msgs, 1)
	fds, err := syscall.ParseUnixRights(&msgs[0])
	require.NoError(t, err)
	require.Len(t, fds, 1)
	flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.Equal(t, unix.FD_CLOEXEC, flags)
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(fds[0], &st))
	unix.Close(fds[0])
	return st.Ino
}

// Credentials of the peer, by option and beside each message.
func TestCredentials(t *testing.T) {
	compareUnix(t, func(r *record, c, s unixConn) {
		raw, err := s.SyscallConn()
		require.NoError(r.t, err)
		var cred *unix.Ucred
		r.err("control", raw.Control(func(fd uintptr) {
			cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
			require.NoError(r.t, err)
			require.NoError(r.t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1))
		}))
		require.Equal(r.t, os.Getpid(), int(cred.Pid))
		_, err = c.Write([]byte("hello"))
		r.err("write", err)
		b, oob := make([]byte, 16), make([]byte, 128)
		n, oobn, flags, _, err := s.ReadMsgUnix(b, oob)
		r.note(fmt.Sprint("read message", oobn, flags), int64(n), err)
		msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
		require.NoError(r.t, err)
		got, err := unix.ParseUnixCredentials(&msgs[0])
		require.NoError(r.t, err)
		require.Equal(r.t, cred, got)
	})
}

// What a stream does not offer fails as in the standard library, and what a message meets.
func TestMessageErrors(t *testing.T) {
	compareUnix(t, func(r *record, c, s unixConn) {
		b := make([]byte, 8)
		n, err := c.WriteTo([]byte("x"), &UnixAddr{Name: "/nowhere", Net: "unix"})
		r.note("write to", int64(n), err)
		n, err = c.WriteTo([]byte("x"), &TCPAddr{})
		r.note("write to the wrong kind", int64(n), err)
		n, err = c.WriteToUnix([]byte("x"), nil)
		r.note("write to nobody", int64(n), err)
		n, _, err = c.WriteMsgUnix([]byte("x"), nil, &UnixAddr{Name: "/nowhere", Net: "unixgram"})
		r.note("message of the wrong kind", int64(n), err)
		n, _, err = c.WriteMsgUnix([]byte("x"), nil, &UnixAddr{Name: "/nowhere", Net: c.LocalAddr().Network()})
		r.note("message with an address", int64(n), err)
		n, _, err = c.WriteMsgUnix([]byte("x"), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, nil)
		r.note("message with nonsense", int64(n), err)
		_, err = s.Write([]byte("hello"))
		r.err("write", err)
		n, from, err := c.ReadFrom(b)
		r.note(fmt.Sprint("read from ", from), int64(n), err)
		r.err("past", c.SetDeadline(past))
		n, from, err = c.ReadFrom(b)
		r.note(fmt.Sprint("read from ", from), int64(n), err)
		n, _, _, _, err = c.ReadMsgUnix(b, nil)
		r.note("read message", int64(n), err)
		n, _, err = c.WriteMsgUnix(b, nil, nil)
		r.note("write message", int64(n), err)
		r.err("expiring", c.SetReadDeadline(soon()))
		n, _, _, _, err = c.ReadMsgUnix(b, nil)
		r.note("read message", int64(n), err)
		r.err("none", c.SetDeadline(time.Time{}))
		r.err("peer's close", s.Close())
		n, ua, err := c.ReadFromUnix(b)
		r.note(fmt.Sprint("read from ", ua), int64(n), err)
		n, _, err = c.WriteMsgUnix(b, nil, nil)
		r.note("write message", int64(n), err)
		n, err = c.Write(b)
		r.note("write", int64(n), err)
		r.err("close", c.Close())
		n, _, _, _, err = c.ReadMsgUnix(b, nil)
		r.note("read message", int64(n), err)
		n, _, err = c.WriteMsgUnix(b, nil, nil)
		r.note("write message", int64(n), err)
		n, ua, err = c.ReadFromUnix(b)
		r.note(fmt.Sprint("read from ", ua), int64(n), err)
		n, err = c.WriteTo(b, &UnixAddr{Name: "/nowhere", Net: "unix"})
		r.note("write to", int64(n), err)
	})
}

// A peer that closes with bytes unread is told from one that has read them.
func TestUnixUnread(t *testing.T) {
	compareUnix(t, func(r *record, c, s unixConn) {
		_, err := c.Write([]byte("two bits"))
		r.err("write", err)
		n, err := s.Read(make([]byte, 3))
		r.note("peer's read", int64(n), err)
		_, err = c.Write([]byte("more"))
		r.err("write", err)
		r.err("peer's close", s.Close())
		n, err = c.Read(make([]byte, 8))
		r.note("read", int64(n), err)
		n, err = c.Read(make([]byte, 8))
		r.note("read", int64(n), err)
	})
}

// Packets keep their bounds, and an empty one is the end of the stream.
func TestPackets(t *testing.T) {
	compare(t, func(r *record) {
		c, s := r.pair("unixpacket")
		for _, p := range []string{"one", "two", "a longer one"} {
			n, err := c.Write([]byte(p))
			r.note("write", int64(n), err)
		}
		b := make([]byte, 8)
		for range 3 {
			n, err := s.Read(b)
			r.note("read "+string(b[:n]), int64(n), err)
		}
		n, err := c.Write(nil)
		r.note("write nothing", int64(n), err)
		n, err = s.Read(b)
		r.note("read nothing", int64(n), err)
		n, err = c.Write(make([]byte, 64<<20))
		r.note("write too much", int64(n), err)
		n, err = c.Write([]byte("after it"))
		r.note("write after it", int64(n), err)
		if err == nil {
			n, err = s.Read(b)
			r.note("read "+string(b[:n]), int64(n), err)
		}
		// Empty slices do not count among those of one message.
		var many [][]byte
		for range 1025 {
			many = append(many, nil, []byte("x"))
		}
		sent, left, err := slicesTo(c, many...)
		r.note(fmt.Sprint("write slices, left ", left), sent, err)
		b = make([]byte, 2048)
		for range 2 * min(sent, 1) {
			n, err = s.Read(b)
			r.note("read slices", int64(n), err)
		}
	})
}

// TestMessageLease: a lease holds all of a message, however long, and messages wait while reading is paused.
func TestMessageLease(t *testing.T) {
	body := func(t *testing.T, network string, c, s moreConn) {
		message := bytes.Repeat([]byte("0123456789"), 6_000)
		receive := func(want []byte) {
			l, err := s.ReadLease()
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, l.Bytes()), "%d bytes", l.Len())
			l.Release()
		}
		for range 2 {
			for _, p := range [][]byte{message, []byte("short"), message[:4097]} {
				_, err := c.Write(p)
				require.NoError(t, err)
				receive(p)
			}
			require.NoError(t, s.PauseRead())
			_, err := c.Write([]byte("paused"))
			require.NoError(t, err)
			require.NoError(t, s.SetReadDeadline(soon()))
			_, err = s.ReadLease()
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, s.SetReadDeadline(soon()))
			_, _, _, _, err = s.(*UnixConn).ReadMsgUnix(make([]byte, 8), nil)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, s.SetReadDeadline(time.Time{}))
			require.NoError(t, s.ResumeRead())
			receive([]byte("paused"))
		}
		_, err := c.Write(nil)
		require.NoError(t, err)
		if network == "unixgram" {
			receive(nil)
		} else {
			_, err = s.ReadLease()
			require.Equal(t, io.EOF, err)
		}
		require.NoError(t, s.Close())
		_, err = s.ReadLease()
		require.ErrorIs(t, err, ErrClosed)
	}
	for _, network := range []string{"unixpacket", "unixgram"} {
		onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
			for _, p := range []modePolicy{modeEngine, modeRuntime} {
				for _, on := range []func(func()){func(f func()) { f() }, func(f func()) { runOn(e, f) }} {
					r := &record{t: t, api: ourAPI(forced(e, p))}
					on(func() {
						if network == "unixgram" {
							l, d := gramPair(r, r.api.listenGram, r.api.dialGram)
							body(t, network, d.(moreConn), l.(moreConn))
							return
						}
						c, s := r.pair(network)
						body(t, network, c.(moreConn), s.(moreConn))
					})
				}
			}
		})
	}
}

// Serve has coroutines serve Unix connections on the engine, of each kind.
func TestServeUnix(t *testing.T) {
	for _, network := range unixNetworks {
		t.Run(network, func(t *testing.T) {
			onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
				s := On(e)
				network, address := (&record{t: t}).address(network)
				l, err := s.Listen(network, address)
				require.NoError(t, err)
				coroutine := make(chan bool, 1)
				ended := make(chan error, 1)
				go func() {
					ended <- s.Serve(l, func(c Conn) {
						coroutine <- executor.Current() != nil && c.(*UnixConn).conn.Load() != nil
						echo(c)
					})
				}()
				c, err := stdnet.Dial(network, address)
				require.NoError(t, err)
				for range 50 {
					echoOnce(t, c, []byte("hello"))
				}
				require.True(t, <-coroutine)
				require.NoError(t, c.Close())
				require.NoError(t, l.Close())
				require.ErrorIs(t, <-ended, ErrClosed)
				_, err = os.Lstat(address)
				require.True(t, errors.Is(err, os.ErrNotExist), "the socket's file is gone")
			})
		})
	}
}

// The file of a socket goes with its listener, or stays when asked to.
func TestUnlinkOnClose(t *testing.T) {
	compare(t, func(r *record) {
		network, address := r.address("unix")
		r.name(address, "ADDRESS")
		for _, keep := range []bool{false, true} {
			l, err := r.api.listen(network, address)
			r.err("listen", err)
			if err != nil {
				continue
			}
			_, err = r.api.listen(network, address)
			r.err("listen twice", err)
			if keep {
				l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
			}
			r.err("close", l.Close())
			r.err("close again", l.Close())
			_, err = os.Lstat(address)
			r.err("look", err)
			_, err = r.api.dial(network, address)
			r.err("dial", err)
		}
	})
}

// From every mode a File is a duplicate that outlives the connection.
func TestUnixFile(t *testing.T) {
	compareUnix(t, func(r *record, c, s unixConn) {
		f, err := c.File()
		r.err("file", err)
		r.err("close", c.Close())
		_, err = f.Write([]byte("through the file"))
		r.err("write", err)
		b := make([]byte, 32)
		n, err := s.Read(b)
		r.note("read "+string(b[:n]), int64(n), err)
		again, err := r.api.fileConn(f)
		r.err("file conn", err)
		r.err("file's close", f.Close())
		_, err = again.Write([]byte("again"))
		r.err("write", err)
		n, err = io.ReadAtLeast(s, b, 5)
		r.note("read "+string(b[:n]), int64(n), err)
		r.err("close", again.Close())
	})
}
