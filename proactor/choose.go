//go:build linux

package proactor

import (
	"fmt"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/proactor/ringbackend"
	"github.com/ouro-io/ouro/reactorfallback"
	"github.com/ouro-io/ouro/uring"
)

// Info tells what an engine runs on.
type Info struct {
	// Backend is IOUring or Epoll.
	Backend Backend
	// Reason says why it is not the better one, and what to do about it. Empty for io_uring, and where epoll was asked
	// for "asked for".
	Reason string
	// Workers is the number of workers.
	Workers int
	// Fixed says why memory that Engine.Lease lends is not registered with a ring, empty where nothing was refused.
	Fixed string
}

// Info tells what the engine runs on.
func (e *Engine) Info() Info {
	i := e.info
	i.Workers, i.Fixed = len(e.loops), e.fixedReason()
	return i
}

// chooseBackend picks the maker of backends. io_uring is tried with a backend of the real size, which is closed again;
// what works for one may still fail for the last worker (memory), and then New takes epoll after all.
func chooseBackend(c Config) (func(int) (op.Backend, error), Info, error) {
	if c.backend != nil {
		return c.backend, Info{Backend: c.Backend, Reason: "injected"}, nil
	}
	ring := func(int) (op.Backend, error) {
		return ringbackend.New(ringbackend.Config{
			Entries: c.RingEntries, CQEntries: c.RingCQEntries, Buffers: c.Buffers, IdleAfter: c.IdleAfter,
			FileThreads: c.FileThreads, Restrict: c.Restrict, Fixed: c.fixed,
		})
	}
	if c.Backend == Epoll {
		return reactors(c), Info{Backend: Epoll, Reason: "asked for"}, nil
	}
	err := tryRing(ring)
	switch {
	case err == nil:
		return ring, Info{Backend: IOUring}, nil
	case c.Backend == IOUring:
		return nil, Info{}, fmt.Errorf("proactor: io_uring was asked for and does not work here: %w", err)
	}
	return reactors(c), Info{Backend: Epoll, Reason: err.Error()}, nil
}

// reactors makes epoll backends.
func reactors(c Config) func(int) (op.Backend, error) {
	return func(int) (op.Backend, error) {
		return reactorfallback.New(reactorfallback.Config{Buffers: c.Buffers, IdleAfter: c.IdleAfter, FileThreads: c.FileThreads})
	}
}

func tryRing(ring func(int) (op.Backend, error)) error {
	if err := uring.Available(); err != nil {
		return err
	}
	b, err := ring(0)
	if err != nil {
		return err
	}
	return b.Close()
}
