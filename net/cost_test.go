//go:build linux

package net

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	stdnet "net"

	"github.com/ouro-io/ouro/proactor"
)

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, b := range backends {
		for name, handler := range map[string]func(Conn){"copy": echo, "lease": echoLease} {
			for _, p := range []modePolicy{modeEngine, modeRuntime} {
				t.Run(fmt.Sprint(b, name, p), func(t *testing.T) {
					s := forced(newEngine(t, proactor.Config{Backend: b, Workers: 1}), p)
					l := serveOn(t, s, handler)
					defer keepBusy(t, l)()
					noAllocations(t, dialOn(t, s, l))
				})
			}
		}
	}
}

// keepBusy echoes on a connection of its own until the function returned is called: a worker that falls idle between
// two requests allocates what it needs to park.
func keepBusy(t *testing.T, l Listener) (stop func()) {
	c, err := stdnet.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	var done sync.WaitGroup
	done.Go(func() {
		b := []byte("busy")
		for {
			if _, err := c.Write(b); err != nil {
				return
			}
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	})
	return func() {
		c.Close()
		done.Wait()
	}
}

func noAllocations(t *testing.T, c Conn) {
	msg, got := []byte("sixty-four bytes or so"), make([]byte, 64)
	round := func() {
		if _, err := c.Write(msg); err != nil {
			t.Error(err)
		}
		if _, err := c.Read(got); err != nil {
			t.Error(err)
		}
	}
	for range 50 {
		round()
	}
	// testing.AllocsPerRun would leave the process one P only, which the worker keeps while it waits. What is allocated for
	// each round shows in every attempt; a worker that parks in between does so now and then.
	var per uint64
	for range 50 {
		if per = allocations(500, round) / 500; per == 0 {
			return
		}
	}
	t.Fatal(per, " allocations per echo")
}

func allocations(n int, f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// The stacks of idle handlers stay at the 2 KiB that a goroutine begins with.
func TestIdleStack(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes frames larger")
	}
	// By default the runtime begins with larger stacks when those that the last collection saw were large, which in a test
	// are those of other tests.
	const setting = "adaptivestackstart=0"
	if !strings.Contains(os.Getenv("GODEBUG"), setting) {
		// Whatever has a stack counts, say the threads that the workers need on a busy machine: one run of several has to pass.
		for range 4 {
			out, err := childOutput(t, "^"+t.Name()+"$", "GODEBUG="+setting)
			if err == nil {
				return
			}
			t.Logf("%s", out)
		}
		runAgain(t, "GODEBUG="+setting)
		return
	}
	faces := map[string]func(c Conn, b []byte) error{
		"read": func(c Conn, b []byte) error {
			n, err := c.Read(b)
			if err == nil {
				_, err = c.Write(b[:n])
			}
			return err
		},
		"lease": func(c Conn, _ []byte) error {
			l, err := c.(*TCPConn).ReadLease()
			if err == nil {
				err = c.(*TCPConn).WriteLease(l)
			}
			return err
		},
	}
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for name, once := range faces {
			t.Run(name, func(t *testing.T) { idleStack(t, On(e), once) })
		}
	})
}

// idleStack measures the stacks of handlers that have each called once, all at the same time, so that writes share a turn:
// they are at their deepest then.
func idleStack(t *testing.T, s *Stack, once func(c Conn, b []byte) error) {
	const conns = 400
	next := make(chan []byte, conns)
	for range conns {
		next <- make([]byte, 64)
	}
	l := serveOn(t, s, func(c Conn) {
		b := <-next
		for once(c, b) == nil {
		}
	})
	cs := make([]stdnet.Conn, conns)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range cs {
		c, err := stdnet.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		cs[i] = c
	}
	for _, c := range cs {
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
	}
	for _, c := range cs {
		_, err := c.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	runtime.ReadMemStats(&after)
	per := (int64(after.StackInuse) - int64(before.StackInuse)) / conns
	require.Less(t, per, int64(3<<10), "stack bytes per idle handler")
}

// Accepted connections have the options that the standard library sets on each of its own, for Serve and for Accept.
func TestAcceptedOptions(t *testing.T) {
	for name, lc := range map[string]ListenConfig{
		"default": {},
		"none":    {KeepAlive: -1},
		"period":  {KeepAlive: 42_000_000_001},
		"config":  {KeepAliveConfig: KeepAliveConfig{Enable: true, Idle: 7e9, Interval: 8e9, Count: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			want := acceptedOptions(t, func() (Listener, error) { return lc.std().Listen(t.Context(), "tcp", "127.0.0.1:0") }, nil)
			onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
				for _, p := range []modePolicy{modeEngine, modeRuntime} {
					s := forced(e, p)
					listen := func() (Listener, error) { return s.ListenConfig(lc).Listen(t.Context(), "tcp", "127.0.0.1:0") }
					require.Equal(t, want, acceptedOptions(t, listen, nil), "Accept")
					require.Equal(t, want, acceptedOptions(t, listen, s), "Serve")
					changed := func() (Listener, error) { return changedListener(t, listen) }
					require.Equal(t, want, acceptedOptions(t, changed, nil), "Accept where the program has set other options")
				}
			})
		})
	}
	want := acceptedOptions(t, func() (Listener, error) { return stdnet.ListenTCP("tcp4", nil) }, nil)
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := forced(e, modeRuntime)
		require.Equal(t, want, acceptedOptions(t, func() (Listener, error) { return s.ListenTCP("tcp4", nil) }, nil))
	})
}

// A Multipath TCP listener's connections have them as well, whichever kind the peer is, and where the kernel would not hand
// them on.
func TestAcceptedOptionsMultipath(t *testing.T) {
	lc := ListenConfig{KeepAliveConfig: KeepAliveConfig{Enable: true, Idle: 7e9, Interval: 8e9, Count: 3}}
	lc.SetMultipathTCP(true)
	want := acceptedOptions(t, func() (Listener, error) { return lc.std().Listen(t.Context(), "tcp", "127.0.0.1:0") }, nil)
	require.Equal(t, [6]int{1, 1, 7, 8, 3, 1}, want)
	for range mostTrials { // from here on the answer stays what it is, also where a trial found no time
		inheritsMultipath()
	}
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := forced(e, modeRuntime)
		for _, bare := range []bool{false, true} {
			listen := func() (Listener, error) {
				l, err := s.ListenConfig(lc).Listen(t.Context(), "tcp", "127.0.0.1:0")
				require.NoError(t, err)
				tl := l.(*TCPListener)
				raw, err := tl.std.SyscallConn()
				require.NoError(t, err)
				require.NoError(t, raw.Control(func(fd uintptr) {
					protocol, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL)
					require.NoError(t, err)
					if protocol == unix.IPPROTO_MPTCP {
						require.Equal(t, inheritsMultipath(), tl.keepAlive.preset)
					}
				}))
				if bare {
					tl.keepAlive.preset, tl.keepAlive.bare = false, true
					return changedListener(t, func() (Listener, error) { return l, nil })
				}
				return l, nil
			}
			require.Equal(t, want, acceptedOptions(t, listen, nil), "Accept, %v", bare)
			require.Equal(t, want, acceptedOptions(t, listen, s), "Serve, %v", bare)
		}
	})
}

// changedListener sets options of the listener that the standard library sets on accepted connections by itself.
func changedListener(t *testing.T, listen func() (Listener, error)) (Listener, error) {
	l, err := listen()
	require.NoError(t, err)
	if l.(*TCPListener).keepAlive.Enable { // else the connections have the listener's with the standard library as well
		raw, err := l.(*TCPListener).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			_ = setOption(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
			_ = setOption(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 99)
			_ = setOption(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 0)
		}))
	}
	return l, nil
}

// acceptedOptions returns the options of an accepted connection: through Serve when s is given.
func acceptedOptions(t *testing.T, listen func() (Listener, error), s *Stack) (got [6]int) {
	l, err := listen()
	require.NoError(t, err)
	ended := make(chan error, 1)
	seen := make(chan [6]int, 1)
	handler := func(c Conn) {
		defer c.Close()
		raw, err := c.(tcpConn).SyscallConn()
		if err != nil {
			return
		}
		_ = raw.Control(func(fd uintptr) {
			var o [6]int
			o[0], _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
			o[1], _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			o[2], _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
			o[3], _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
			o[4], _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
			flags, _ := unix.FcntlInt(fd, unix.F_GETFD, 0)
			o[5] = flags & unix.FD_CLOEXEC
			seen <- o
		})
	}
	go func() {
		if s != nil {
			ended <- s.Serve(l, handler)
			return
		}
		c, err := l.Accept()
		if err == nil {
			handler(c)
		}
		ended <- ErrClosed
	}()
	var d stdnet.Dialer
	d.SetMultipathTCP(s == nil) // of the one kind and of the other
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	got = <-seen
	c.Close()
	l.Close()
	require.ErrorIs(t, <-ended, ErrClosed)
	return got
}
