//go:build linux

package net

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// nettestModes are the ways in which the two connections of a test live and are used.
var nettestModes = map[string]struct {
	policy    modePolicy
	coroutine bool
	served    bool
}{
	"engine":            {policy: modeEngine},
	"engine-coroutine":  {policy: modeEngine, coroutine: true},
	"runtime":           {policy: modeRuntime},
	"runtime-coroutine": {policy: modeRuntime, coroutine: true}, // moves at the first use
	"served":            {policy: modeEngine, served: true},
	"served-coroutine":  {policy: modeRuntime, served: true, coroutine: true},
}

// TestNettest runs the conformance suite over TCP and Unix sockets, on each backend, in each mode, and with every call made
// by an ordinary goroutine or by a coroutine.
func TestNettest(t *testing.T) { testNettest(t, nil) }

// overTLS are the parts of the suite that TLS over package net passes. The others cut Writes short, after which package
// tls writes nothing more, and its Close waits for five seconds.
const overTLS = "^(BasicIO|PingPong|RacyRead|RacyWrite|ReadTimeout|WriteTimeout|CloseTimeout)$"

// TestNettestTLS runs it over TLS. A process of its own has the parts chosen by its flags, as the suite has no other way.
func TestNettestTLS(t *testing.T) {
	const child = "OURO_TEST_TLS=1"
	if os.Getenv("OURO_TEST_TLS") == "" {
		runOnly(t, "^TestNettestTLS$/.*/.*/"+overTLS, child)
		return
	}
	testNettest(t, secured)
}

// testNettest runs the suite; over, if it is given, puts something on top of the connections.
func testNettest(t *testing.T, over func(t testing.TB, c1, c2 Conn) (client, server Conn)) {
	for name, v := range nettestModes {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(name+"-"+network, func(t *testing.T) {
				onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
					s := forced(e, v.policy)
					nettest.TestConn(t, func() (c1, c2 Conn, stop func(), err error) {
						c1, c2 = pipeOn(t, s, network, v.served)
						a, b := streamOf(c1), streamOf(c2)
						if v.coroutine {
							c1, c2 = onCoroutines(e, c1), onCoroutines(e, c2)
						}
						if over != nil {
							c1, c2 = over(t, c1, c2)
						}
						return c1, c2, func() {
							_ = c1.Close()
							_ = c2.Close()
							if v.policy == modeEngine || v.coroutine {
								require.NotNil(t, a.conn.Load(), "it was to be on the engine")
							} else {
								require.Nil(t, a.conn.Load(), "it was to be in runtime mode")
							}
							require.Same(t, e, b.engineUsed(e))
						}, nil
					})
				})
			})
		}
	}
}

// secured runs TLS over the two connections.
func secured(t testing.TB, c1, c2 Conn) (client, server Conn) {
	cert := certificate(t)
	server = tls.Server(c2, &tls.Config{Certificates: []tls.Certificate{cert}})
	client = tls.Client(c1, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- server.(*tls.Conn).Handshake() }()
	require.NoError(t, client.(*tls.Conn).Handshake())
	require.NoError(t, <-done)
	return polite{client.(*tls.Conn)}, polite{server.(*tls.Conn)}
}

// polite does not complain when the peer is gone before the goodbye: on a Unix socket that is an error at once.
type polite struct{ *tls.Conn }

func (p polite) Close() error {
	if err := p.Conn.Close(); !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// certificate is a self-signed one for the length of the process.
func certificate(t testing.TB) tls.Certificate {
	madeCertificate.Do(func() {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
		require.NoError(t, err)
		theCertificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
	})
	return theCertificate
}

var (
	madeCertificate sync.Once
	theCertificate  tls.Certificate
)

// engineUsed is the engine that the connection runs on, or e in runtime mode.
func (c *stream) engineUsed(e *proactor.Engine) *proactor.Engine {
	if pc := c.conn.Load(); pc != nil {
		return pc.Engine()
	}
	return e
}

// pipe connects two connections of TCP; see pipeOn.
func pipe(t testing.TB, s *Stack, served bool) (dialed, accepted *TCPConn) {
	c, a := pipeOn(t, s, "tcp", served)
	return c.(*TCPConn), a.(*TCPConn)
}

// pipeOn connects two connections: the first by Dial, the second by Accept, or by Serve whose handler waits for the end.
func pipeOn(t testing.TB, s *Stack, network string, served bool) (dialed, accepted Conn) {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = fmt.Sprintf("@ouro-%d-%d", os.Getpid(), abstractNames.Add(1))
	}
	l, err := s.Listen(network, address)
	require.NoError(t, err)
	got := make(chan Conn, 1)
	ended := make(chan error, 1)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	if served {
		go func() {
			ended <- s.Serve(l, func(c Conn) {
				got <- c
				await(func() { <-release })
			})
		}()
	} else {
		go func() {
			c, err := l.Accept()
			if err == nil {
				got <- c
			}
			ended <- err
		}()
	}
	dialed, err = s.Dial(network, l.Addr().String())
	require.NoError(t, err)
	accepted = <-got
	require.NoError(t, l.Close())
	if err := <-ended; served {
		require.ErrorIs(t, err, ErrClosed)
	} else {
		require.NoError(t, err)
	}
	return dialed, accepted
}

// viaCoroutines is a connection whose every call is made by a coroutine of the engine.
type viaCoroutines struct {
	Conn
	e *proactor.Engine
}

func onCoroutines(e *proactor.Engine, c Conn) Conn { return viaCoroutines{c, e} }

// call runs f on a coroutine and waits for it.
func (v viaCoroutines) call(f func()) { runOn(v.e, f) }

func runOn(e *proactor.Engine, f func()) {
	var done sync.WaitGroup
	done.Add(1)
	err := e.Executor().Go(func() {
		defer done.Done()
		if executor.Current() == nil {
			panic("not on a coroutine")
		}
		f()
	})
	if errors.Is(err, executor.ErrShutdown) {
		// nettest does not wait for all of its goroutines. Those of a test that has ended find the engine gone, and get
		// what any goroutine gets from the connection then.
		f()
		return
	}
	if err != nil {
		panic(err)
	}
	done.Wait()
}

func (v viaCoroutines) Read(p []byte) (n int, err error) {
	v.call(func() { n, err = v.Conn.Read(p) })
	return n, err
}

func (v viaCoroutines) Write(p []byte) (n int, err error) {
	v.call(func() { n, err = v.Conn.Write(p) })
	return n, err
}

func (v viaCoroutines) Close() (err error) {
	v.call(func() { err = v.Conn.Close() })
	return err
}

func (v viaCoroutines) SetDeadline(d time.Time) (err error) {
	v.call(func() { err = v.Conn.SetDeadline(d) })
	return err
}

func (v viaCoroutines) SetReadDeadline(d time.Time) (err error) {
	v.call(func() { err = v.Conn.SetReadDeadline(d) })
	return err
}

func (v viaCoroutines) SetWriteDeadline(d time.Time) (err error) {
	v.call(func() { err = v.Conn.SetWriteDeadline(d) })
	return err
}
