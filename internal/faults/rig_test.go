//go:build linux

package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	stdnet "net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// A rig is an engine with two servers on it. echo sends everything back. relay dials echo for each connection, from its
// coroutine, and passes everything through it and back. So a client of relay has its bytes received, sent and dialled by
// coroutines of the engine.
type rig struct {
	engine      *proactor.Engine
	stack       *net.Stack
	echo, relay net.Listener
	// inHandler is called by handlers before each read and write.
	inHandler func()
	served    sync.WaitGroup
}

// startRig starts a rig on address (host without a port).
func startRig(c proactor.Config, host string, inHandler func()) (*rig, error) {
	e, err := proactor.New(c)
	if err != nil {
		return nil, err
	}
	r := &rig{engine: e, stack: net.On(e), inHandler: inHandler}
	if r.inHandler == nil {
		r.inHandler = func() {}
	}
	if r.echo, err = r.stack.Listen("tcp", net.JoinHostPort(host, "0")); err == nil {
		r.relay, err = r.stack.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	r.served.Go(func() { _ = r.stack.Serve(r.echo, r.serveEcho) })
	r.served.Go(func() { _ = r.stack.Serve(r.relay, r.serveRelay) })
	return r, nil
}

func (r *rig) serveEcho(c net.Conn) {
	b := make([]byte, 16<<10)
	for {
		r.inHandler()
		n, err := c.Read(b)
		if err != nil {
			return
		}
		r.inHandler()
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func (r *rig) serveRelay(c net.Conn) {
	d, err := r.stack.Dial("tcp", r.echo.Addr().String())
	if err != nil {
		return
	}
	defer d.Close()
	b, back := make([]byte, 8<<10), make([]byte, 8<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := d.Write(b[:n]); err != nil {
			return
		}
		r.inHandler()
		if _, err := io.ReadFull(d, back[:n]); err != nil {
			return
		}
		if _, err := c.Write(back[:n]); err != nil {
			return
		}
	}
}

// stop shuts everything down and says what was left.
func (r *rig) stop() error {
	for _, l := range []net.Listener{r.echo, r.relay} {
		if l != nil {
			_ = l.Close()
		}
	}
	r.served.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	err := r.engine.Shutdown(ctx)
	s := r.engine.Stats()
	if s.Conns != 0 || s.InFlight != 0 {
		err = errors.Join(err, fmt.Errorf("%d connections and %d operations are left", s.Conns, s.InFlight))
	}
	for _, g := range s.Buffers {
		if g.Out != 0 {
			err = errors.Join(err, fmt.Errorf("%d leases are left", g.Out))
		}
	}
	return err
}

// onEachBackend runs f with a rig per backend.
func onEachBackend(t *testing.T, inHandler func(), f func(t *testing.T, r *rig)) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			if b == proactor.IOUring {
				if err := denytest.NoRing(); err != nil {
					t.Skip(err)
				}
			}
			r, err := startRig(proactor.Config{Backend: b, Workers: 2, Log: func(s string) { t.Log(s) }}, "127.0.0.1", inHandler)
			require.NoError(t, err)
			defer func() { require.NoError(t, r.stop()) }()
			f(t, r)
		})
	}
}

// exchange sends n bytes made from seed to a server that sends them back, in uneven pieces, and compares all that comes.
func exchange(c stdnet.Conn, seed uint64, n int) error {
	if err := c.SetDeadline(time.Now().Add(hangs)); err != nil {
		return err
	}
	sent, got := sha256.New(), sha256.New()
	wrote := make(chan error, 1)
	go func() {
		r := rand.New(rand.NewPCG(seed, 1))
		b := make([]byte, 32<<10)
		for left := n; left > 0; {
			p := b[:min(left, 1+r.IntN(len(b)))]
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			sent.Write(p)
			if _, err := c.Write(p); err != nil {
				wrote <- err
				return
			}
			left -= len(p)
		}
		wrote <- nil
	}()
	m, err := io.CopyN(got, c, int64(n))
	if err != nil {
		_ = c.SetDeadline(time.Now())
		return errors.Join(fmt.Errorf("%d of %d bytes came back: %w", m, n, err), <-wrote)
	}
	if err := <-wrote; err != nil {
		return err
	}
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		return fmt.Errorf("other bytes came back than the %d that were sent (seed %d)", n, seed)
	}
	return nil
}

// exchangeAt dials and exchanges n bytes.
func exchangeAt(l net.Listener, seed uint64, n int) error {
	c, err := stdnet.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	return exchange(c, seed, n)
}

// traffic keeps connections exchanging until the function that it returns is called, which returns the first error.
// Each connection is made anew now and then. It returns once every client has had one exchange.
func traffic(t *testing.T, r *rig, connections int) (stop func()) {
	var ended atomic.Bool
	errs := make(chan error, connections)
	var warm, done sync.WaitGroup
	warm.Add(connections)
	for i := range connections {
		done.Go(func() {
			first := sync.OnceFunc(warm.Done)
			defer first()
			l := r.relay
			if i%2 == 0 {
				l = r.echo
			}
			for seed := uint64(i) << 32; !ended.Load(); seed++ {
				if err := exchangeAt(l, seed, 60_000); err != nil {
					errs <- err
					return
				}
				first()
			}
		})
	}
	warm.Wait()
	stop = sync.OnceFunc(func() {
		ended.Store(true)
		done.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// The harness itself must notice a byte that is wrong and one that is missing.
func TestExchangeNotices(t *testing.T) {
	l, err := stdnet.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for name, spoil := range map[string]func(p []byte) []byte{
		"wrong":   func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
		"missing": func(p []byte) []byte { return p[1:] },
		"swapped": func(p []byte) []byte { p[0], p[len(p)-1] = p[len(p)-1], p[0]+1; return p },
	} {
		t.Run(name, func(t *testing.T) {
			var served sync.WaitGroup
			served.Go(func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				b := make([]byte, 1000)
				_, _ = io.ReadFull(c, b)
				_, _ = c.Write(spoil(b))
			})
			require.Error(t, exchangeAt(l, 1, 1000))
			served.Wait()
		})
	}
}
