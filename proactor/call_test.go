//go:build linux

package proactor

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/op"
)

// A Call's context ends while its operations wait: they are cancelled, and have ended when Do returns.
func TestCallIsCancelledAndAwaited(t *testing.T) {
	for _, b := range []Backend{IOUring, Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			skipWithout(t, b)
			e, err := New(Config{Backend: b, Workers: 1})
			require.NoError(t, err)
			r, w, err := os.Pipe() // never readable: a poll of it ends by nothing else
			require.NoError(t, err)
			c := NewCall(20)
			for i := range c.Ops {
				c.Ops[i].Kind, c.Ops[i].FD, c.Ops[i].Events = op.Poll, int32(r.Fd()), 1
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- e.Do(ctx, c) }()
			for e.Stats().InFlight < 20 { // all submitted
				select {
				case err := <-done:
					t.Fatal("ended by itself: ", err)
				default:
				}
			}
			cancel()
			require.NoError(t, <-done)
			for i := range c.Results {
				require.Equal(t, syscall.ECANCELED, c.Results[i].Errno)
				require.False(t, c.Ops[i].InFlight())
			}
			require.NoError(t, errors.Join(r.Close(), w.Close()))
			require.NoError(t, e.Shutdown(context.Background()))
			require.Equal(t, ErrShutdown, e.Do(context.Background(), NewCall(1)))
		})
	}
}

// On a coroutine of the engine, where the operations are submitted at once, Do waits for them as well.
func TestCallOfACoroutineWaits(t *testing.T) {
	for _, b := range []Backend{IOUring, Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			skipWithout(t, b)
			e, err := New(Config{Backend: b, Workers: 1})
			require.NoError(t, err)
			r, w, err := os.Pipe()
			require.NoError(t, err)
			var got Result
			done := make(chan error, 1)
			require.NoError(t, e.Executor().Go(func() {
				c := NewCall(1)
				defer c.Free()
				c.Ops[0].Kind, c.Ops[0].FD, c.Ops[0].Events = op.Poll, int32(r.Fd()), 1
				err := e.Do(context.Background(), c)
				got = c.Results[0]
				done <- err
			}))
			for e.Stats().InFlight == 0 { // until then it may come to its end only if it did not wait
				select {
				case err := <-done:
					t.Fatal("ended without its operation: ", err)
				default:
				}
			}
			_, err = w.Write([]byte("x"))
			require.NoError(t, err)
			require.NoError(t, <-done)
			require.Equal(t, Result{N: 1}, got)
			require.NoError(t, errors.Join(r.Close(), w.Close()))
			require.NoError(t, e.Shutdown(context.Background()))
		})
	}
}
