//go:build linux

package simtest

import (
	"errors"
	"sync"
	"syscall"
	"testing/synctest"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// serve starts a server, the engine's own or net's, and the peers that will dial it. It returns what ends the rest. Where
// the operator closes everything at once there are no programs on goroutines: he and they would wake each other in no
// fixed order.
func (w *world) serve(noGoroutines bool) (stop func()) {
	t := w.tape
	overNet := t.Choose(3) == 2
	var port uint16
	if overNet {
		port, stop = w.serveNet()
	} else {
		port, stop = w.serveEngine()
	}
	most := 5
	if w.stage != nil {
		most = 12
	}
	for n := t.between(1, most); n > 0; n-- {
		x := &talk{w: w, id: len(w.all), role: role(t.Choose(int(roles)))}
		if overNet && (x.role == roleCallbacks || x.role == roleGoroutine) {
			x.role = roleChaos
		}
		if noGoroutines && x.role == roleGoroutine {
			x.role = roleChaos
		}
		x.peer = &peer{t: x, port: port, total: pick(t, 100, 1, 1000, 5000, 0) + t.Choose(200), late: t.Choose(20)}
		if t.rarely(4) {
			x.peer.abort = pick(t, resets, closes)
			x.peer.steps = t.Choose(30)
		}
		if t.rarely(25) {
			x.peer.total = 150_000 // more than may be held anywhere
		}
		w.all = append(w.all, x)
		w.kernel.Join(x.peer)
	}
	return stop
}

// talkOf finds the talk of a connection by its descriptor: a peer that was reset has no address any more.
func (w *world) talkOf(fd int) *talk {
	t := w.talks[w.kernel.PeerPort(fd)]
	if t == nil {
		// A completion under an old identity may carry what no peer has dialled; nobody must be given it.
		w.wrong("a connection was accepted that nobody has made")
		return nil
	}
	if t.started {
		t.wrong("it was accepted twice")
	}
	t.started = true
	return t
}

func (w *world) serveEngine() (uint16, func()) {
	fd, port := w.kernel.Listen(3)
	a, err := w.engine.Accept(rawConn(fd), func(c *proactor.Conn) {
		var t *talk
		_ = c.Control(func(fd int) error {
			t = w.talkOf(fd)
			return nil
		})
		if t == nil {
			_ = c.Close()
			return
		}
		w.begin(t, c)
	})
	if err != nil {
		w.wrong("Accept: %v", err)
	}
	return port, sync.OnceFunc(func() {
		_ = a.Close()
		w.kernel.Close(fd, op.Orderly)
	})
}

// begin gives an accepted connection to the program of t.
func (w *world) begin(t *talk, c *proactor.Conn) {
	var err error
	if t.conn = c; w.shares {
		t.share(c, w.tape.Choose(5))
	}
	switch t.role {
	case roleCallbacks:
		w.engine.Handle(c, t.handler())
	case roleGoroutine:
		w.actors++
		w.kernel.Join(newActor(t, c))
	default:
		err = c.Start(func() {
			defer c.Close()
			t.run(c)
		}, nil, false)
	}
	if err != nil {
		t.note("not started: %v", err)
		t.early, t.over = true, true
		_ = c.Close()
	}
}

func (w *world) serveNet() (uint16, func()) {
	s := net.On(w.engine)
	l, err := s.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.wrong("Listen: %v", err)
		return 0, func() {}
	}
	raw, _ := l.(*net.TCPListener).SyscallConn()
	var port uint16
	real := -1
	_ = raw.Control(func(fd uintptr) {
		real = int(fd)
		port = w.kernel.ListenAs(real, 3)
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := s.Serve(l, func(c net.Conn) {
			tc := c.(*net.TCPConn)
			raw, _ := tc.SyscallConn()
			var t *talk
			if raw.Control(func(fd uintptr) { t = w.talkOf(int(fd)) }) == nil && t != nil {
				_ = tc.RemoteAddr().String() // never nil, even if the peer has gone
				if w.shares {
					t.share(tc, w.tape.Choose(5))
				}
				t.run(tc)
			}
		})
		if !errors.Is(err, net.ErrClosed) && !errors.Is(err, proactor.ErrShutdown) && !w.broke {
			w.wrong("Serve: %v", err)
		}
	}()
	synctest.Wait()
	return port, sync.OnceFunc(func() {
		_ = l.Close()
		<-done
		w.kernel.Close(real, op.Orderly)
	})
}

// rawConn is a descriptor of the simulated kernel as the engine wants to see one.
type rawConn int

// Sealed has the engine take the option SO_LINGER for unset, as package net does where nobody can have set it.
func (r rawConn) Sealed() bool { return true }

func (r rawConn) SyscallConn() (syscall.RawConn, error) { return r, nil }

func (r rawConn) Control(f func(fd uintptr)) error {
	f(uintptr(r))
	return nil
}

func (r rawConn) Read(func(uintptr) bool) error  { return syscall.ENOTSUP }
func (r rawConn) Write(func(uintptr) bool) error { return syscall.ENOTSUP }

// An actor is a program on an ordinary goroutine. It takes a step when the worker, inside a Poll, says so; the worker
// goes on when the goroutine has finished the step, or waits in the engine.
type actor struct {
	t     *talk
	c     *proactor.Conn
	steps int
	gate  chan func() bool
	idle  bool
	done  bool
}

func newActor(t *talk, c *proactor.Conn) *actor {
	a := &actor{t: t, c: c, steps: t.w.tape.Choose(16), gate: make(chan func() bool), idle: true}
	t.running++
	go func() {
		for f := range a.gate {
			a.done = f()
			a.idle = true
			if a.done {
				_ = c.Close()
				t.running--
				return
			}
		}
	}()
	return a
}

func (a *actor) Ready() bool {
	synctest.Wait()
	return a.idle && !a.done
}

func (a *actor) Step() {
	a.idle = false
	t := a.t
	if a.steps == 0 {
		farewell := t.w.tape.Choose(2) * 300
		a.gate <- func() bool {
			t.drain(a.c)
			if t.sEOF && farewell > 0 {
				t.send(a.c, farewell) // and Close right behind it
			}
			t.closing()
			return true
		}
		synctest.Wait()
		return
	}
	a.steps--
	deed, how := t.w.tape.Choose(t.w.deeds()), t.w.tape.Choose(1<<16)
	a.gate <- func() bool {
		if t.any(a.c, deed, how) {
			t.closing()
			return true
		}
		return false
	}
	synctest.Wait()
}
