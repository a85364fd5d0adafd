//go:build linux

package net

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	stdnet "net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/leaktest"
	"github.com/ouro-io/ouro/proactor"
)

// A handler that panics, or ends its goroutine, closes its own connection and nothing else; the log has the stack. A Close that
// it has deferred suspends its coroutine in the middle of that.
func TestHandlerPanics(t *testing.T) {
	t.Run("plain", func(t *testing.T) { handlerPanics(t, false) })
	t.Run("deferred close", func(t *testing.T) { handlerPanics(t, true) })
}

func handlerPanics(t *testing.T, closes bool) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			logged := make(chan string, 10)
			e := newEngine(t, proactor.Config{Backend: b, Log: func(s string) { logged <- s }})
			s := On(e)
			l := serveOn(t, s, func(c Conn) {
				if closes {
					defer c.Close()
				}
				b := make([]byte, 1)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					switch b[0] {
					case 'p':
						panic("handler's own")
					case 'g':
						runtime.Goexit()
					}
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			})
			good := dialOn(t, s, l)
			echoOnce(t, good, []byte("x"))
			for _, how := range []string{"p", "g", "p"} {
				bad := dialOn(t, s, l)
				echoOnce(t, bad, []byte("x"))
				_, err := bad.Write([]byte(how))
				require.NoError(t, err)
				_, err = bad.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err)
				if how == "p" {
					line := <-logged
					require.Contains(t, line, "handler's own")
					require.Contains(t, line, "net.handlerPanics.") // where it happened
				}
				echoOnce(t, good, []byte("y"))
			}
			require.EqualValues(t, 1, e.Stats().Executor.Goexits)
		})
	}
}

// Whatever a handler blocks on, the others of its worker go on, and one that keeps blocking is demoted.
func TestHandlersMayBlock(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			e := newEngine(t, proactor.Config{Backend: b, Workers: 1})
			s := On(e)
			var mu sync.Mutex
			var p [2]int
			require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
			defer unix.Close(p[0])
			defer unix.Close(p[1])
			locked, inside := make(chan bool, 1), make(chan bool, 10)
			l := serveOn(t, s, func(c Conn) {
				b := make([]byte, 1)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					switch b[0] {
					case 'l': // hold the lock over a suspension
						mu.Lock()
						locked <- true
						_, _ = c.Read(b)
						mu.Unlock()
					case 'm': // wait for it
						inside <- true
						mu.Lock()
						mu.Unlock() //nolint:staticcheck // the waiting is what is tested
					case 'r': // block in a system call
						inside <- true
						_, _ = unix.Read(p[0], b)
					case 's':
						time.Sleep(20 * time.Millisecond)
					}
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			})
			holder, waiter, reader, sleeper, other := dialOn(t, s, l), dialOn(t, s, l), dialOn(t, s, l), dialOn(t, s, l), dialOn(t, s, l)
			send := func(c Conn, what string) {
				_, err := c.Write([]byte(what))
				require.NoError(t, err)
			}
			answer := func(c Conn) {
				_, err := io.ReadFull(c, make([]byte, 1))
				require.NoError(t, err)
			}
			echoOnce(t, other, []byte("x"))
			send(holder, "l")
			<-locked
			send(waiter, "m")
			<-inside
			echoOnce(t, other, []byte("y"))
			send(reader, "r")
			<-inside
			echoOnce(t, other, []byte("z"))
			send(holder, "u") // the holder can only go on if the worker was handed over
			answer(holder)
			answer(waiter)
			_, err := unix.Write(p[1], []byte("x"))
			require.NoError(t, err)
			answer(reader)
			require.NotZero(t, e.Stats().Executor.HandOvers)
			for i := 0; e.Stats().Executor.Demotions == 0; i++ {
				require.Less(t, i, 500, "it is never demoted")
				send(sleeper, "s")
				echoOnce(t, other, []byte("w"))
				answer(sleeper)
			}
			echoOnce(t, sleeper, []byte("v")) // as an ordinary goroutine it goes on
		})
	}
}

// Connects and closes, from either side, by close and by reset, leak neither connections nor descriptors.
func TestChurn(t *testing.T) {
	total := 20_000
	if testing.Short() || raceEnabled {
		total = 2_000
	}
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		var served atomic.Int64
		l := serveOn(t, s, func(c Conn) {
			defer served.Add(1)
			b := make([]byte, 16)
			n, err := c.Read(b)
			if err != nil {
				return
			}
			_, _ = c.Write(b[:n])
			if b[0]%2 == 0 {
				_, _ = c.Read(b)
			}
		})
		echoOnce(t, dialOn(t, s, l), []byte{1}) // Serve has begun
		before := leaktest.Sockets()
		var wg sync.WaitGroup
		const clients = 8
		for k := range clients {
			wg.Go(func() {
				for i := range total / clients {
					c, err := stdnet.Dial("tcp", l.Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					if i%3 != 0 {
						_, _ = c.Write([]byte{byte(i / 3)})
						_, _ = c.Read(make([]byte, 1))
					}
					// By reset, so that no port stays in TIME_WAIT.
					_ = c.(*stdnet.TCPConn).SetLinger(0)
					c.Close()
				}
				_ = k
			})
		}
		wg.Wait()
		if !assert.Eventually(t, func() bool {
			return e.Stats().Conns <= 1 && e.Stats().Executor.Coroutines == 0 && leaktest.Sockets() <= before
		}, 20*time.Second, 5*time.Millisecond) {
			t.Fatal(e.Stats().Conns, " connections, ", e.Stats().Executor.Coroutines, " handlers, ", leaktest.Sockets()-before, " sockets left")
		}
		// A connection that was reset before it was accepted may never have been seen.
		require.Greater(t, served.Load(), int64(total/2))
	})
}

// The peer resets at every point of an exchange; the handler always ends, and with it the connection.
func TestResetsAtEveryPoint(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		var ended sync.WaitGroup
		data := make([]byte, 1<<20)
		l := serveOn(t, s, func(c Conn) {
			defer ended.Done()
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				if b[0] == 'B' {
					_, err = c.Write(data) // more than the peer takes
				} else {
					_, err = c.Write(b[:n])
				}
				if err != nil {
					return
				}
			}
		})
		steps := []func(c *stdnet.TCPConn){
			func(c *stdnet.TCPConn) {},
			func(c *stdnet.TCPConn) { c.Write([]byte("x")) },
			func(c *stdnet.TCPConn) { c.Write([]byte("x")); c.Read(make([]byte, 1)) },
			func(c *stdnet.TCPConn) { c.Write([]byte("B")) },
			func(c *stdnet.TCPConn) { c.Write([]byte("B")); c.Read(make([]byte, 100)) },
			func(c *stdnet.TCPConn) { c.Write(data) },
			func(c *stdnet.TCPConn) { c.Write([]byte("x")); c.CloseWrite() },
		}
		for range 20 {
			for _, step := range steps {
				ended.Add(1)
				c, err := stdnet.Dial("tcp", l.Addr().String())
				require.NoError(t, err)
				// Its handler runs, so that it is counted: a connection reset in the queue may never be accepted.
				echoOnce(t, c, []byte("hello"))
				step(c.(*stdnet.TCPConn))
				require.NoError(t, c.(*stdnet.TCPConn).SetLinger(0))
				c.Close()
			}
		}
		done := make(chan bool)
		go func() { ended.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Fatal("handlers that never end: ", e.Stats().Executor.Coroutines)
		}
	})
}

// A handler that reads slowly what a fast sender sends holds a bounded number of buffers, loses nothing, and does not
// disturb the others.
func TestSlowReader(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		release := make(chan bool)
		letGo := sync.OnceFunc(func() { close(release) })
		defer letGo()
		sum := make(chan []byte, 1)
		l := serveOn(t, s, func(c Conn) {
			b := make([]byte, 1<<10)
			if _, err := io.ReadFull(c, b[:1]); err != nil {
				return
			}
			if b[0] != 'S' {
				_, _ = c.Write(b[:1])
				echo(c)
				return
			}
			await(func() { <-release })
			h := sha256.New()
			_, _ = io.CopyBuffer(h, struct{ io.Reader }{c}, b)
			sum <- h.Sum(nil)
		})
		slow, err := stdnet.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer slow.Close()
		data := make([]byte, 32<<20) // 512 buffers of 64 KiB
		for i := 0; i < len(data); i += 8 {
			data[i], data[i+3] = byte(rand.Uint32()), byte(rand.Uint32())
		}
		want := sha256.Sum256(data)
		sent := make(chan error, 1)
		go func() {
			_, err := slow.Write(append([]byte("S"), data...))
			_ = slow.(*stdnet.TCPConn).CloseWrite()
			sent <- err
		}()
		for range 100 {
			c := dialOn(t, s, l)
			for range 10 {
				echoOnce(t, c, []byte("hello"))
			}
			for _, g := range e.Stats().Buffers {
				// The kernel may fill what it has been provided with before the worker can stop the receive at the
				// quota of 8: 128 buffers, or twice that when the group grew once. The others hold one each.
				require.LessOrEqual(t, g.Out, 2*128+100)
			}
		}
		letGo()
		require.NoError(t, <-sent)
		require.True(t, bytes.Equal(want[:], <-sum))
	})
}

// The engine is shut down with everything in flight: Serve, handlers that read and write, goroutines that do, an Accept.
func TestShutdownInFlight(t *testing.T) {
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			e := newEngine(t, proactor.Config{Backend: b})
			s := forced(e, modeEngine)
			l, err := s.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			served := make(chan error, 1)
			handled := make(chan error, 20)
			started := make(chan bool, 20)
			large := make([]byte, 256<<20) // more than sockets and buffers hold
			go func() {
				served <- s.Serve(l, func(c Conn) {
					started <- true
					_, err := io.ReadFull(c, make([]byte, 1))
					if err == nil {
						_, err = c.Write(large)
					}
					handled <- err
				})
			}()
			var results []chan error
			for i := range 20 {
				c := dialOn(t, s, l)
				<-started
				if i%2 == 0 {
					_, err := c.Write([]byte("x"))
					require.NoError(t, err)
					_, err = io.ReadFull(c, make([]byte, 1))
					require.NoError(t, err)
					continue // its handler is inside Write
				}
				got := make(chan error, 1)
				go func() {
					_, err := c.Read(make([]byte, 1))
					got <- err
				}()
				results = append(results, got)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, e.Shutdown(ctx), context.Canceled)
			for range 20 {
				require.Error(t, <-handled)
			}
			for _, r := range results {
				require.Error(t, <-r)
			}
			require.ErrorIs(t, <-served, proactor.ErrShutdown)
			_, err = s.Dial("tcp", l.Addr().String())
			require.ErrorIs(t, err, proactor.ErrShutdown)
		})
	}
}

// A connection that got the last descriptor lives, though a coroutine's would begin on the engine, which needs one more.
func TestLastDescriptor(t *testing.T) {
	if os.Getenv("OURO_TEST_LAST") == "" {
		runAgain(t, "OURO_TEST_LAST=1") // the limit is the whole process's
		return
	}
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		s := On(e)
		l, err := s.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		std, err := stdnet.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer std.Close()
		client, err := stdnet.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer client.Close()
		var old unix.Rlimit
		require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
		low := old
		low.Cur = 128
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
		defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) }()
		var ballast []int
		fill := func() {
			for {
				fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					break
				}
				ballast = append(ballast, fd)
			}
		}
		free := func(n int) {
			for _, fd := range ballast[len(ballast)-n:] {
				unix.Close(fd)
			}
			ballast = ballast[:len(ballast)-n]
		}
		last := func(get func() (Conn, error)) (c Conn, err error) {
			for {
				fill()
				free(1)
				runOn(e, func() { c, err = get() })
				// Another of the process may have been quicker to take it; the system call of the standard library's says so.
				if call := new(os.SyscallError); !errors.As(err, &call) {
					return c, err
				}
			}
		}
		accepted, err := last(l.Accept)
		dialled := accepted
		if err == nil {
			dialled, err = last(func() (Conn, error) { return s.Dial("tcp", std.Addr().String()) })
		}
		free(len(ballast))
		require.NoError(t, err)
		defer accepted.Close()
		defer dialled.Close()
		peer, err := std.Accept()
		require.NoError(t, err)
		defer peer.Close()
		for _, p := range [][2]Conn{{client, accepted}, {peer, dialled}} {
			_, err = p[0].Write([]byte("hello"))
			require.NoError(t, err)
			b := make([]byte, 5)
			runOn(e, func() { _, err = io.ReadFull(p[1], b) })
			require.NoError(t, err)
			require.NotNil(t, streamOf(p[1]).conn.Load(), "it moves when there is room")
		}
	})
}

// When descriptors run out the listener waits, and goes on by itself when there are some.
func TestOutOfDescriptors(t *testing.T) {
	if os.Getenv("OURO_TEST_NOFILE") == "" {
		runAgain(t, "OURO_TEST_NOFILE=1") // the limit is the whole process's
		return
	}
	for _, b := range backends {
		t.Run(b.String(), func(t *testing.T) {
			// The limit counts as it was when the accept was armed, so it is lowered first and then used up.
			var old unix.Rlimit
			require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
			low := old
			low.Cur = 128
			require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
			defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) }()
			logged := make(chan string, 100)
			e := newEngine(t, proactor.Config{Backend: b, Log: func(s string) { logged <- s }})
			l := serveOn(t, On(e), echo)
			first, err := stdnet.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer first.Close()
			echoOnce(t, first, []byte("x"))
			// Sockets for the clients are made while there is room; then none is left.
			var clients []int
			for range 4 {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				require.NoError(t, err)
				clients = append(clients, fd)
			}
			var ballast []int
			for {
				fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					break
				}
				ballast = append(ballast, fd)
			}
			to := &unix.SockaddrInet4{Port: l.Addr().(*TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
			for _, fd := range clients {
				require.NoError(t, unix.Connect(fd, to))
			}
			for line := ""; !strings.Contains(line, "too many open files"); line = <-logged {
				t.Log(line)
			}
			echoOnce(t, first, []byte("still there"))
			for _, fd := range ballast {
				unix.Close(fd)
			}
			for _, fd := range clients {
				f := os.NewFile(uintptr(fd), "client")
				echoOnce(t, f, []byte("hello"))
				f.Close()
			}
		})
	}
}
