package executor

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Executor is a set of workers. All methods are safe from any goroutine.
type Executor struct {
	config  Config
	clock   Clock
	workers []*Worker
	monitor *monitor
	steals  bool
	// slowAfter is how long a run lasts that counts as slow, in nanoseconds; 0 when nothing is demoted.
	slowAfter int64

	_          [64]byte
	live       atomic.Int64 // coroutines started and not ended
	overloaded atomic.Int32 // workers that have asked for help
	closing    atomic.Bool
	drained    chan struct{} // capacity 1: live came to 0 while closing
	runners    gauge
	nextGo     atomic.Uint64
	stats      executorStats
	down       shutdown
}

// New makes an executor and starts its workers. It fails when a value of c is out of its limits or a driver cannot be
// made.
func New(c Config) (*Executor, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Executor{config: c, clock: c.Clock, drained: make(chan struct{}, 1)}
	e.steals = !c.NoSteal && c.Workers > 1
	if c.DemoteAfter > 0 {
		e.slowAfter = max(int64(c.StallAfter)/slowShare, slowLeast)
	}
	e.down.init()
	for i := range c.Workers {
		w := &Worker{id: i, e: e, park: newParkDriver(), rng: rand.NewPCG(c.Rand.Uint64(), uint64(i))}
		w.ready.init()
		w.timers.next.Store(never)
		// Until the runner has started nobody acts for the worker.
		w.runner.Store(&runner{w: w})
		w.runner.Load().own.Store(noG)
		if w.driver, err = c.NewDriver(w); err != nil {
			e.closeDrivers()
			return nil, fmt.Errorf("executor: driver of worker %d: %w", i, err)
		}
		e.workers = append(e.workers, w)
	}
	e.monitor = newMonitor(e)
	listWorkers(e.workers)
	for _, w := range e.workers {
		w.startRunner()
	}
	go e.monitor.run()
	return e, nil
}

func (e *Executor) closeDrivers() {
	for _, w := range e.workers {
		if c, ok := w.driver.(io.Closer); ok {
			c.Close()
		}
	}
}

// Workers returns the workers. The slice must not be changed.
func (e *Executor) Workers() []*Worker { return e.workers }

// Clock is Config.Clock or its default.
func (e *Executor) Clock() Clock { return e.clock }

// Go starts fn as a coroutine of the next worker in turn. Errors are as for Worker.Go.
func (e *Executor) Go(fn func()) error { return e.inTurn().Go(fn) }

func (e *Executor) inTurn() *Worker { return e.workers[e.nextGo.Add(1)%uint64(len(e.workers))] }

func (e *Executor) driverBroke(w *Worker, err error) {
	if e.config.OnDriverError != nil {
		e.config.OnDriverError(w, err)
		return
	}
	log.Printf("executor: the driver of worker %d broke and is out of use: %v", w.id, err)
}

// coroutineEnded takes one off live.
func (e *Executor) coroutineEnded() {
	if e.live.Add(-1) == 0 && e.closing.Load() {
		select {
		case e.drained <- struct{}{}:
		default:
		}
	}
}

// gauge counts goroutines. Unlike a sync.WaitGroup it can be waited for with a context, and shows its count.
type gauge struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // closed when n comes to 0; nil when nobody waits
}

func (g *gauge) add(d int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n += d
	if g.n == 0 && g.zero != nil {
		close(g.zero)
		g.zero = nil
	}
}

func (g *gauge) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// whenZero returns a channel that is closed once the count is 0.
func (g *gauge) whenZero() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n == 0 {
		c := make(chan struct{})
		close(c)
		return c
	}
	if g.zero == nil {
		g.zero = make(chan struct{})
	}
	return g.zero
}
