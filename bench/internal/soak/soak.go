package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// Config says how to run.
type Config struct {
	// Duration is how long to go on, > 0; the cycle under way is finished.
	Duration time.Duration
	// Cycle is the length of a cycle. Default 10 s.
	Cycle time.Duration
	// Settle is how long a cycle's end may take until the counts are back. Default 10 s: connections linger.
	Settle time.Duration
	// WarmCycles are those before the counts must stand still. Default 3.
	WarmCycles int
	// Conns is how many connections each kind of traffic uses at once. Default 16.
	Conns int
	// Backend is the engine's.
	Backend proactor.Backend
	// Log, if not nil, is told after each cycle.
	Log func(string)
}

// Counts is what is open, and what was done since the beginning.
type Counts struct {
	// Polled are descriptors of rings and epoll sets, Files all others.
	Files, Polled, Goroutines  int
	Coroutines                 int
	Conns, InFlight, Leases    int
	RSSBytes                   int64
	Operations, DoubleReleases uint64
}

// Report is the outcome of a run.
type Report struct {
	Cycles int
	// Operations counts, by kind of traffic, what was done and checked.
	Operations map[string]uint64
	// Base are the counts after the warm cycles, Last those at the end.
	Base, Last Counts
	// HandOvers and Demotions are the executor's.
	HandOvers, Demotions uint64
}

// ErrDrift is wrapped by Run's error when something did not come back to what it was.
var ErrDrift = errors.New("drift")

// rssSlack is by how much resident memory may grow beyond a fifth more than it was: the heap's pace is not exact.
const rssSlack = 24 << 20

func (c *Config) check() error {
	if c.Duration <= 0 || c.Cycle < 0 || c.Settle < 0 || c.WarmCycles < 0 || c.Conns < 0 {
		return fmt.Errorf("soak: %+v: the duration must be > 0 and nothing negative", *c)
	}
	if c.Cycle == 0 {
		c.Cycle = 10 * time.Second
	}
	if c.Settle == 0 {
		c.Settle = 10 * time.Second
	}
	if c.WarmCycles == 0 {
		c.WarmCycles = 3
	}
	if c.Conns == 0 {
		c.Conns = 16
	}
	return nil
}

// Run soaks until c.Duration has passed, ctx ends, or something is wrong. An error that wraps ErrDrift tells of a leak,
// any other of bytes, or of an outcome, that should not have been.
func Run(ctx context.Context, c Config) (rep Report, err error) {
	if err := c.check(); err != nil {
		return rep, err
	}
	e, err := proactor.New(proactor.Config{Backend: c.Backend})
	if err != nil {
		return rep, err
	}
	s := &soak{Config: c, engine: e, stack: net.On(e), done: map[string]uint64{}}
	defer func() { err = errors.Join(err, s.shutdown()) }()
	if err := s.start(); err != nil {
		return rep, err
	}
	rep.Operations = s.done
	for begin := time.Now(); time.Since(begin) < c.Duration && ctx.Err() == nil; {
		if err := s.cycle(ctx); err != nil {
			return rep, fmt.Errorf("cycle %d: %w", rep.Cycles+1, err)
		}
		rep.Cycles++
		if rep.Last, err = s.settle(rep.Base, rep.Cycles > c.WarmCycles); err != nil {
			return rep, fmt.Errorf("cycle %d: %w", rep.Cycles, err)
		}
		if rep.Cycles <= c.WarmCycles {
			rep.Base = rep.Base.most(rep.Last)
		}
		x := e.Stats().Executor
		rep.HandOvers, rep.Demotions = x.HandOvers, x.Demotions
		if c.Log != nil {
			c.Log(fmt.Sprintf("cycle %d: %s", rep.Cycles, rep.Last))
		}
	}
	return rep, nil
}

// soak is the state of a run. done is guarded by mu.
type soak struct {
	Config
	engine  *proactor.Engine
	stack   *net.Stack
	closers []io.Closer
	serving sync.WaitGroup
	// Addresses of the servers, which live through all cycles.
	echo, web, room, lazy string
	file                  *testFile

	mu   sync.Mutex
	done map[string]uint64
}

// cycle runs all traffic at once for a cycle. The first error ends it.
func (s *soak) cycle(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timed, stop := context.WithTimeout(ctx, s.Cycle)
	defer stop()
	var wg sync.WaitGroup
	for _, t := range s.traffic() {
		for i := range s.Conns {
			wg.Go(func() {
				for n := 0; timed.Err() == nil; n++ {
					if err := t.once(timed, i, n); err != nil && timed.Err() == nil {
						cancel(fmt.Errorf("%s: %w", t.name, err))
						return
					}
					s.mu.Lock()
					s.done[t.name]++
					s.mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// settle waits until the counts are no more than base, if they must be, and returns them.
func (s *soak) settle(base Counts, must bool) (Counts, error) {
	deadline := time.Now().Add(s.Settle)
	for {
		debug.FreeOSMemory()
		c, err := s.count()
		if err != nil {
			return c, err
		}
		drift := c.beyond(base)
		if quiet := c.Conns <= engineListeners && c.Coroutines == 0 && c.Leases == 0; quiet && (!must || drift == "") {
			return c, nil
		}
		if time.Now().After(deadline) {
			if drift == "" {
				drift = "connections or leases are still open"
			}
			return c, fmt.Errorf("%w: %s; at first %s, now %s", ErrDrift, drift, base, c)
		}
		runtime.Gosched()
		time.Sleep(50 * time.Millisecond)
	}
}
