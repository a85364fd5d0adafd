//go:build linux

package actor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/worldtest"
	ouronet "github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// log is what happened, in order.
type events struct {
	mu  sync.Mutex
	all []string
}

func (e *events) add(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, s)
}

func (e *events) count(s string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, x := range e.all {
		if x == s {
			n++
		}
	}
	return n
}

// await waits until f holds.
func await(t testing.TB, f func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(worldtest.Hang); !f(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("hangs: %s", what)
		}
	}
}

// family spawns a parent with children that log, and returns the children. A message to a child is its failure, or nil.
func family(t testing.TB, s *System, e *events, sup Supervision, names ...string) (Ref[int], map[string]Ref[error]) {
	children := map[string]Ref[error]{}
	ready := make(chan struct{}, 100)
	var mu sync.Mutex
	parent := spawn(t, s, Props[int]{
		Name: "parent", Supervision: sup,
		New: func(c *Context[int]) (Behavior[int], error) {
			e.add("start parent")
			for _, name := range names {
				r, err := Spawn(c, Props[error]{
					Name: name,
					New: func(*Context[error]) (Behavior[error], error) {
						e.add("start " + name)
						return func(_ *Context[error], m error) error {
							e.add(fmt.Sprintf("%s: %v", name, m))
							return m
						}, nil
					},
					Stopped: func(*Context[error]) { e.add("stop " + name) },
				})
				if err != nil {
					return nil, err
				}
				mu.Lock()
				if len(children) < len(names) { // those of the first start
					children[name] = r
				}
				mu.Unlock()
			}
			ready <- struct{}{}
			return func(*Context[int], int) error { return nil }, nil
		},
		Stopped: func(*Context[int]) { e.add("stop parent") },
	})
	<-ready
	for _, name := range names { // New of a child runs on the child's own coroutine
		await(t, func() bool { return e.count("start "+name) > 0 }, "the first start of "+name)
	}
	mu.Lock()
	defer mu.Unlock()
	return parent, children
}

func TestOneForOne(t *testing.T) {
	s := newSystem(t, 2, Config{})
	var e events
	_, c := family(t, s, &e, Supervision{}, "a", "b")
	require.NoError(t, c["a"].Tell(errBoom))
	require.NoError(t, c["a"].Tell(nil)) // stays in the mailbox
	await(t, func() bool { return e.count("a: <nil>") == 1 }, "the message behind the failure")
	require.Equal(t, 2, e.count("start a"))
	require.Equal(t, 1, e.count("start b"))
	require.EqualValues(t, 1, s.Stats().Restarts)
	require.EqualValues(t, 1, s.Stats().Failures)
}

func TestOneForAll(t *testing.T) {
	s := newSystem(t, 2, Config{})
	var e events
	_, c := family(t, s, &e, Supervision{Strategy: OneForAll}, "a", "b", "c")
	require.NoError(t, c["b"].Tell(errBoom))
	for _, n := range []string{"a", "b", "c"} {
		await(t, func() bool { return e.count("start "+n) == 2 }, n)
	}
}

func TestStopResumeAndBackoff(t *testing.T) {
	s := newSystem(t, 2, Config{})
	var e events
	errMild, errFatal := errors.New("mild"), errors.New("fatal")
	_, c := family(t, s, &e, Supervision{Backoff: time.Millisecond, Decide: func(child string, err error) Directive {
		switch {
		case errors.Is(err, errMild):
			return Resume
		case errors.Is(err, errFatal):
			return Stop
		}
		return Restart
	}}, "a", "b")
	require.NoError(t, c["a"].Tell(errMild))
	require.NoError(t, c["a"].Tell(nil))
	await(t, func() bool { return e.count("a: <nil>") == 1 }, "resume")
	require.Equal(t, 1, e.count("start a"))
	for i := range 3 {
		require.NoError(t, c["a"].Tell(errBoom))
		await(t, func() bool { return e.count("start a") == i+2 }, "restart after a pause")
	}
	require.NoError(t, c["b"].Tell(errFatal))
	ended(t, c["b"])
	require.Equal(t, 1, e.count("stop b"))
	require.NoError(t, c["a"].Tell(nil))
}

// TestIntensityAndEscalation: too many restarts fail the parent, whose restart brings up the children anew; and when that
// is too much the top gives up.
func TestIntensityAndEscalation(t *testing.T) {
	var e events
	var gaveUp []string
	s := newSystem(t, 2, Config{Supervision: Supervision{MaxRestarts: 1}, GaveUp: func(path string, err error) {
		if errors.Is(err, errBoom) && strings.Contains(err.Error(), "/parent/a") {
			gaveUp = append(gaveUp, path)
		}
	}})
	parent, c := family(t, s, &e, Supervision{MaxRestarts: 2}, "a", "b")
	fail := func() {
		r, err := Lookup[error](s, "/parent/a")
		require.NoError(t, err)
		require.NoError(t, r.Tell(errBoom))
	}
	for i := range 5 { // the third is too much for the parent, whose restart starts it anew
		starts := e.count("start a")
		fail()
		await(t, func() bool { return e.count("start a") > starts }, "a start")
		if i == 2 {
			require.Equal(t, 2, e.count("start parent"))
			ended(t, c["b"]) // it was stopped with the family
		}
	}
	fail() // and this one too much for the top
	ended(t, parent)
	require.Equal(t, []string{"/parent"}, gaveUp)
	require.Equal(t, 1, e.count("stop parent"))
}

func TestFailingNew(t *testing.T) {
	var e events
	s := newSystem(t, 1, Config{})
	tries := 0
	r := spawn(t, s, Props[int]{New: func(*Context[int]) (Behavior[int], error) {
		switch tries++; tries {
		case 1:
			return nil, errBoom
		case 2:
			panic(errBoom)
		case 3:
			return nil, nil
		}
		return func(_ *Context[int], m int) error { e.add("handled"); return nil }, nil
	}})
	require.NoError(t, r.Tell(1))
	await(t, func() bool { return e.count("handled") == 1 }, "the fourth try")
	require.EqualValues(t, 3, s.Stats().Restarts)
}

// TestGracefulStop: a drain handles what waits, parents before children; a stop does not.
func TestGracefulStop(t *testing.T) {
	s := newSystem(t, 2, Config{})
	var e events
	parent, c := family(t, s, &e, Supervision{}, "a", "b")
	for range 100 {
		require.NoError(t, c["a"].Tell(nil))
	}
	parent.Drain()
	ended(t, parent)
	require.Equal(t, 100, e.count("a: <nil>"))
	require.Equal(t, 1, e.count("stop b"))
	require.Equal(t, "stop parent", e.all[len(e.all)-1])
	require.ErrorIs(t, parent.Tell(1), ErrStopped)
}

// TestShutdownStopsWhatWaits: a handler that waits is ended by its context when the time for draining is over.
func TestShutdownStopsWhatWaits(t *testing.T) {
	var dead events
	s, err := NewSystem(Config{DeadLetter: func(d DeadLetter) { dead.add(fmt.Sprint(d.Message)) }})
	require.NoError(t, err)
	entered := make(chan struct{})
	r := spawn(t, s, Props[int]{New: func(c *Context[int]) (Behavior[int], error) {
		child := spawn(t, c, simple(func(c *Context[int], m int) error {
			close(entered)
			<-c.Context().Done()
			return nil
		}))
		return func(_ *Context[int], m int) error { return child.Tell(m) }, nil
	}})
	require.NoError(t, r.Tell(1))
	<-entered
	child, err := Lookup[int](s, r.Path()+"/$2")
	require.NoError(t, err)
	require.NoError(t, child.Tell(2))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Shutdown(ctx), context.DeadlineExceeded)
	require.Equal(t, []string{"2"}, dead.all)
	_, err = Spawn(s, simple(func(*Context[int], int) error { return nil }))
	require.ErrorIs(t, err, ErrStopped)
}

// TestGoexitInHandler: the actor goes on as another coroutine.
func TestGoexitInHandler(t *testing.T) {
	s := newSystem(t, 1, Config{})
	r := spawn(t, s, summing())
	require.Equal(t, 1, askSum(t, r, 1))
	require.NoError(t, r.Tell(query{exit: true}))
	require.Equal(t, 2, askSum(t, r, 2), "restarted: a new sum")
}

// line is a message of a connection actor.
type line struct {
	text   string
	closed bool
	err    error
}

// TestConnectionActor talks to actors that are connections: frames in order, backpressure, a restart that keeps the
// connection, the end from either side.
func TestConnectionActor(t *testing.T) {
	for _, backend := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(backend.String(), func(t *testing.T) {
			if err := denytest.NoRing(); backend == proactor.IOUring && err != nil {
				t.Skip(err)
			}
			engine, err := proactor.New(proactor.Config{Backend: backend, Log: func(s string) { t.Log(s) }})
			require.NoError(t, err)
			defer func() { require.NoError(t, engine.Shutdown(worldtest.Within(t))) }()
			s, err := NewSystem(Config{Executor: engine.Executor()})
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Shutdown(worldtest.Within(t))) }()
			l, err := ouronet.On(engine).Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			spawnOne := func() (Ref[line], net.Conn, *events) {
				peer, err := net.Dial("tcp", l.Addr().String())
				require.NoError(t, err)
				conn, err := l.Accept()
				require.NoError(t, err)
				var e events
				p := Props[line]{Mailbox: 2, New: func(*Context[line]) (Behavior[line], error) {
					return func(c *Context[line], m line) error {
						switch {
						case m.closed:
							e.add(fmt.Sprint("closed ", m.err))
						case m.text == "fail":
							return errBoom
						default:
							e.add(m.text)
							_, err := conn.Write([]byte("echo " + m.text + "\n"))
							return err
						}
						return nil
					}, nil
				}}
				r, err := SpawnConn(s, p, Conn[line]{Conn: conn,
					Decode: func(f []byte) (line, error) {
						if string(f) == "bad" {
							return line{}, errBoom
						}
						return line{text: string(f)}, nil
					},
					Closed: func(err error) line { return line{closed: true, err: err} },
				})
				require.NoError(t, err)
				return r, peer, &e
			}
			r, peer, e := spawnOne()
			go func() {
				for i := range 500 {
					fmt.Fprintf(peer, "%d\n", i)
					if i == 250 {
						fmt.Fprint(peer, "fail\n")
					}
				}
			}()
			buf := make([]byte, 1)
			var reply []byte
			for n := 0; n < 500; {
				_, err := peer.Read(buf)
				require.NoError(t, err)
				if reply = append(reply, buf[0]); buf[0] == '\n' {
					n++
				}
			}
			require.True(t, strings.HasSuffix(string(reply), "echo 499\n"))
			require.NoError(t, peer.Close())
			ended(t, r)
			require.Len(t, e.all, 501)
			require.Equal(t, "closed <nil>", e.all[500])
			require.True(t, slices.Contains(e.all, "250"))

			r, peer, e = spawnOne()
			fmt.Fprint(peer, "bad\n")
			ended(t, r)
			require.Len(t, e.all, 1)
			require.Contains(t, e.all[0], "boom")
			_, err = peer.Read(buf)
			require.Error(t, err, "the actor's end closes the connection")
			peer.Close()

			r, peer, _ = spawnOne()
			r.Stop()
			ended(t, r)
			_, err = peer.Read(buf)
			require.Error(t, err)
			peer.Close()
			executor.Yield()
		})
	}
}
