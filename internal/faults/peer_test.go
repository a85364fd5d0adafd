//go:build linux

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	stdnet "net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/net"
)

const addressEnv = "OURO_FAULTS_ADDRESS"

func init() {
	parts["peer"] = func() error {
		for i := range uint64(8) {
			c, err := stdnet.Dial("tcp", os.Getenv(addressEnv))
			if err != nil {
				return err
			}
			go func() { _ = exchange(c, i, math.MaxInt) }() // until it is killed
		}
		fmt.Println("going")
		select {}
	}
}

// Peers are killed in the middle of transfers in both directions; everything that they had is given back.
func TestPeerIsKilled(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		stop := traffic(t, r, 2)
		for range 5 {
			c := child("peer", addressEnv+"="+r.relay.Addr().String())
			out, err := c.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, c.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "going\n", line)
			time.Sleep(5 * time.Millisecond) // wherever that is
			require.NoError(t, c.Process.Kill())
			require.Error(t, c.Wait())
		}
		stop()
		require.True(t, gone(r), "%+v", r.engine.Stats())
	})
}

// gone waits until only the listeners are left.
func gone(r *rig) bool {
	for end := time.Now().Add(hangs / 2); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s := r.engine.Stats(); s.Conns <= 2 && s.Executor.Coroutines == 0 {
			return true
		}
	}
	return false
}

// A peer that stops reading is waited for until the deadline, in bounded memory, and holds nobody else up.
func TestPeerStopsReading(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		l, err := r.stack.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		type outcome struct {
			n   int
			err error
		}
		wrote := make(chan outcome, 1)
		give := make(chan bool)
		var served sync.WaitGroup
		served.Go(func() {
			_ = r.stack.Serve(l, func(c net.Conn) {
				_ = c.SetWriteDeadline(time.Now().Add(hangs))
				go func() {
					<-give
					_ = c.SetWriteDeadline(time.Now())
				}()
				n, err := c.Write(make([]byte, 64<<20))
				wrote <- outcome{n, err}
			})
		})
		c, err := stdnet.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = io.ReadFull(c, make([]byte, 1)) // the write is under way
		require.NoError(t, err)
		for i := range 20 {
			require.NoError(t, exchangeAt(r.relay, uint64(i), 50_000))
		}
		close(give)
		o := <-wrote
		require.ErrorIs(t, o.err, os.ErrDeadlineExceeded)
		require.Positive(t, o.n)
		require.Less(t, o.n, 64<<20)
		// What Write counted is what the peer gets.
		got, err := io.Copy(io.Discard, c)
		require.NoError(t, err)
		require.EqualValues(t, o.n, 1+got)
		require.NoError(t, l.Close())
		served.Wait()
	})
}

// A peer that is gone without a word (TCP_REPAIR closes a socket and sends nothing): reads end by their deadline, writes by
// the reset that the peer's kernel answers with.
func TestPeerVanishes(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		l, err := r.stack.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		read, wrote := make(chan error, 1), make(chan error, 1)
		now := make(chan bool)
		var served sync.WaitGroup
		served.Go(func() {
			_ = r.stack.Serve(l, func(c net.Conn) {
				b := make([]byte, 10)
				_, _ = c.Read(b)
				<-now
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				_, err := c.Read(b)
				read <- err
				for err = nil; err == nil; {
					_, err = c.Write(make([]byte, 1000))
				}
				wrote <- err
			})
		})
		c, err := stdnet.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		raw, err := c.(*stdnet.TCPConn).SyscallConn()
		require.NoError(t, err)
		// An acknowledgement that is still to come would find nobody, and be answered by a reset.
		require.Eventually(t, func() bool {
			acknowledged := false
			_ = raw.Control(func(fd uintptr) {
				left, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
				acknowledged = err == nil && left == 0
			})
			return acknowledged
		}, hangs, time.Millisecond)
		var repair error
		require.NoError(t, raw.Control(func(fd uintptr) {
			repair = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
		}))
		if errors.Is(repair, syscall.EPERM) {
			close(now)
			c.Close()
			l.Close()
			served.Wait()
			t.Skip("needs CAP_NET_ADMIN, to close a socket silently")
		}
		require.NoError(t, repair)
		require.NoError(t, c.Close())
		close(now)
		require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
		err = <-wrote
		require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), err)
		require.NoError(t, l.Close())
		served.Wait()
		require.True(t, gone(r))
	})
}

// Resets while both sides send; what came before the reset is right, and no signal ends the process (SIGPIPE).
func TestPeerResets(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		stop := traffic(t, r, 2)
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				c, err := stdnet.Dial("tcp", r.relay.Addr().String())
				if !assert.NoError(t, err) {
					return
				}
				var mid sync.WaitGroup
				mid.Go(func() {
					time.Sleep(time.Duration(i) * 300 * time.Microsecond)
					_ = c.(*stdnet.TCPConn).SetLinger(0)
					_ = c.Close()
				})
				assert.Error(t, exchange(c, uint64(i), math.MaxInt))
				mid.Wait()
			})
		}
		wg.Wait()
		stop()
		require.True(t, gone(r))
	})
}
