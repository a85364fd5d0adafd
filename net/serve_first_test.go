//go:build linux

package net

import (
	"fmt"
	"io"
	stdnet "net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// lateWays are what a handler may do before, or in place of, a Read by the engine. The bytes that it has read are returned.
var lateWays = map[string]func(c Conn) (int, error){
	"works": func(Conn) (int, error) { return 0, nil },
	"paused": func(c Conn) (int, error) {
		return 0, c.(interface{ PauseRead() error }).PauseRead()
	},
	"raw": func(c Conn) (n int, err error) {
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			return 0, err
		}
		var failed error
		err = raw.Read(func(fd uintptr) bool { n, failed = unix.Read(int(fd), make([]byte, 4)); return failed != unix.EAGAIN })
		return n, first(err, failed)
	},
	"file": func(c Conn) (int, error) {
		f, err := c.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			return 0, err
		}
		defer f.Close()
		var n int
		await(func() { n, err = io.ReadFull(f, make([]byte, 4)) })
		return n, err
	},
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// FirstBytesTimeout counts what the socket has received, however the handler comes by it, and when: a client that has sent
// enough in time stays.
func TestFirstBytesOfLateHandlers(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, network := range []string{"tcp", "unix", "unixpacket"} {
			for name, way := range lateWays {
				for _, goroutines := range []bool{false, true} {
					for _, foreign := range []bool{false, true} {
						t.Run(fmt.Sprint(network, " ", name, " goroutines=", goroutines, " std=", foreign), func(t *testing.T) {
							t.Parallel()
							cfg := ServeConfig{FirstBytes: 4, Goroutines: goroutines}
							patiently(t, 50*time.Millisecond, func(d time.Duration) bool {
								cfg.FirstBytesTimeout = d
								return lateHandler(t, On(e), network, cfg, foreign, way)
							})
						})
					}
				}
			}
		}
	})
}

// lateHandler serves one connection that sends enough at once, and whose handler goes way and then reads nothing until the time
// is over, and one that sends less, and is closed. It reports whether the first did so in time.
func lateHandler(t *testing.T, s *Stack, network string, cfg ServeConfig, foreign bool, way func(Conn) (int, error)) bool {
	l := listenLate(t, s, network, foreign)
	ended, over, met := make(chan error, 1), make(chan bool), make(chan error, 1)
	var number atomic.Int32
	go func() {
		ended <- s.ServeConfig(cfg).Serve(l, func(c Conn) {
			if number.Add(1) > 1 {
				_, _ = c.Read(make([]byte, 1))
				await(func() { <-over })
				return
			}
			n, err := way(c)
			await(func() { <-over })
			if p, ok := c.(interface{ ResumeRead() error }); err == nil && ok {
				err = p.ResumeRead()
			}
			if err == nil && n == 0 {
				_, err = io.ReadFull(c, make([]byte, 4))
			}
			met <- err
			_, _ = c.Write([]byte("late"))
		})
	}()
	defer func() {
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-ended, ErrClosed)
	}()
	began := time.Now()
	c := dialLate(t, l)
	_, err := c.Write([]byte("much"))
	sentLate := time.Since(began) >= cfg.FirstBytesTimeout
	for number.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	short := dialLate(t, l) // its time begins later, so that when it is over the other's is
	_, _ = short.Write([]byte("x"))
	if _, e := io.Copy(io.Discard, short); e != nil {
		require.ErrorContains(t, e, "reset")
	}
	close(over)
	failed := <-met
	if sentLate && (err != nil || failed != nil) {
		return false
	}
	require.NoError(t, err)
	require.NoError(t, failed)
	_, err = io.ReadFull(c, make([]byte, 4))
	require.NoError(t, err)
	return true
}

func listenLate(t *testing.T, s *Stack, network string, foreign bool) (l Listener) {
	network, address := (&record{t: t}).address(network)
	var err error
	if foreign {
		l, err = stdnet.Listen(network, address)
	} else {
		l, err = s.Listen(network, address)
	}
	require.NoError(t, err)
	return l
}

func dialLate(t *testing.T, l Listener) Conn {
	c, err := stdnet.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// A client that sends the end of its stream and nothing else has sent nothing: TCP counts that end as a byte.
func TestFirstBytesOfAnEnd(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, p := range []modePolicy{modeEngine, modeRuntime} {
			for _, network := range []string{"tcp", "unix"} {
				for _, sent := range []int{0, 4} {
					client, server := latePair(t, forced(e, p), network)
					st := streamOf(server)
					if st.rt != nil {
						st.rt.bounds = new(bounds)
					}
					require.False(t, st.hasReceived(1), "before anything")
					_, err := client.Write(make([]byte, sent))
					require.NoError(t, err)
					require.NoError(t, client.(interface{ CloseWrite() error }).CloseWrite())
					poll := []unix.PollFd{{Events: unix.POLLRDHUP}}
					require.NoError(t, (*rawConn)(st).Control(func(fd uintptr) { poll[0].Fd = int32(fd) }))
					_, err = unix.Poll(poll, -1)
					require.NoError(t, err)
					require.True(t, st.hasReceived(uint64(sent)))
					require.False(t, st.hasReceived(uint64(sent+1)), "%s, %d bytes and the end", network, sent)
					n, err := io.Copy(io.Discard, struct{ io.Reader }{server})
					require.NoError(t, err)
					require.EqualValues(t, sent, n)
					require.True(t, st.hasReceived(uint64(sent)), "read")
					require.False(t, st.hasReceived(uint64(sent+1)), "read")
					require.NoError(t, server.(interface{ CloseWrite() error }).CloseWrite())
					require.True(t, st.hasReceived(uint64(sent)), "ended on both sides")
				}
			}
		}
	})
}

// latePair connects two; the server's end is s's.
func latePair(t *testing.T, s *Stack, network string) (client, server Conn) {
	l := listenLate(t, s, network, false)
	defer l.Close()
	client = dialLate(t, l)
	server, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	return client, server
}

// What a splice takes out of a socket counts as received.
func TestSpliceIsCounted(t *testing.T) {
	const size = 1 << 20
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, network := range []string{"tcp", "unix"} {
			from, src := latePair(t, forced(e, modeEngine), network)
			to, dst := latePair(t, forced(e, modeEngine), "tcp")
			go func() { _, _ = from.Write(make([]byte, size)); from.Close() }()
			go func() { _, _ = io.Copy(io.Discard, to) }()
			in := streamOf(src).engineConn()
			n, handled, err := spliceTo(streamOf(dst).engineConn(), in)
			require.NoError(t, err)
			require.True(t, handled)
			require.EqualValues(t, size, n)
			require.EqualValues(t, size, in.Received(), network)
			to.Close()
		}
	})
}

// Where a connection cannot go to the engine its handler runs on a goroutine, and FirstBytesTimeout holds all the same; the
// other limits count when it goes there later.
func TestFirstBytesOnGoroutines(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		for _, network := range []string{"tcp", "unix", "unixpacket"} {
			patiently(t, 200*time.Millisecond, func(d time.Duration) bool { return onGoroutines(t, e, network, d) })
		}
	})
}

func onGoroutines(t *testing.T, e *proactor.Engine, network string, timeout time.Duration) bool {
	st := forced(e, modeRuntime)
	over, coroutine := make(chan bool), make(chan bool, 3)
	s := newServing(ServeConfig{FirstBytesTimeout: timeout, FirstBytes: 4, WriteQueue: 7, Drain: -1, stack: st}, func(c Conn) {
		coroutine <- executor.Current() != nil
		b := make([]byte, 100)
		_, _ = c.Read(b[:2])
		<-over
		echo(c)
	})
	var cs []Conn
	began := time.Now()
	for i, first := range []string{"much", "x", ""} {
		client, server := latePair(t, st, network)
		if network == "unixpacket" && i == 0 {
			first = "muchmuch" // the Read cuts it off at 2, and only these can be counted: the second is left
			_, _ = client.Write([]byte("much"))
		}
		_, _ = client.Write([]byte(first))
		streamOf(server).rt.mu.Lock()
		streamOf(server).rt.pinned++ // it cannot move
		streamOf(server).rt.mu.Unlock()
		s.n++ // what room does
		s.begin(server)
		require.False(t, <-coroutine)
		streamOf(server).unpin()
		if i == 0 {
			require.NotNil(t, streamOf(server).rt.bounds)
			require.NoError(t, server.(interface{ PauseRead() error }).PauseRead()) // which moves it
			pc := streamOf(server).conn.Load()
			require.NotNil(t, pc)
			require.NoError(t, server.(interface{ ResumeRead() error }).ResumeRead())
			if network == "unix" { // how much of it TCP takes is not to be told
				require.NoError(t, server.(*UnixConn).SendLease(buffers.Wrap(make([]byte, 512<<10))))
				require.ErrorIs(t, server.(*UnixConn).SendLease(buffers.Wrap(make([]byte, 1))), proactor.ErrWriteQueueFull)
			}
		}
		cs = append(cs, client)
	}
	late := time.Since(began) >= timeout
	for _, c := range cs[1:] {
		if _, err := io.Copy(io.Discard, c); err != nil {
			require.ErrorContains(t, err, "reset")
		}
	}
	close(over)
	b := make([]byte, 100)
	_, err := cs[0].Read(b)
	cs[0].Close()
	require.True(t, s.idle(-1))
	if err != nil && late {
		return false
	}
	require.NoError(t, err)
	return true
}

// A connection whose limit is over in the moment of its Close: the look at its socket touches nobody else's, and the Close and
// the cut end it once.
func TestFirstBytesBesideClose(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		stop, ended := make(chan bool), make(chan error, 1)
		go func() { ended <- reuseDescriptors(stop) }()
		for _, p := range []modePolicy{modeEngine, modeRuntime} {
			for _, network := range []string{"tcp", "unix"} {
				for i := range 300 {
					client, server := latePair(t, forced(e, p), network)
					st := streamOf(server)
					if st.rt != nil {
						st.rt.bounds = new(bounds)
					}
					fired := make(chan bool)
					go func() {
						defer close(fired)
						if !st.hasReceived(1) {
							st.cut()
						}
					}()
					if i%3 == 0 {
						_ = st.toEngine()
					}
					if err := server.Close(); err != nil {
						require.ErrorIs(t, err, ErrClosed)
					}
					<-fired
					require.ErrorIs(t, server.Close(), ErrClosed)
					require.True(t, st.hasReceived(1), "nothing to be told of a closed one")
					_, err := client.Read(make([]byte, 1))
					require.ErrorIs(t, err, io.EOF)
				}
			}
		}
		close(stop)
		require.NoError(t, <-ended)
	})
}

// reuseDescriptors takes every number that gets free, and reports whether anybody else closes it.
func reuseDescriptors(stop <-chan bool) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if _, err = unix.Write(p[0], []byte("x")); err == nil {
			_, err = unix.Read(p[1], make([]byte, 1))
		}
		if err := first(err, unix.Close(p[0]), unix.Close(p[1])); err != nil {
			return err
		}
	}
}
