package executor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"
)

// The limits of Config.
const (
	MaxWorkers     = 1024
	MaxTaskBudget  = 1 << 20
	MaxInjectLimit = 1 << 30
	MaxBudget      = 1 << 30

	defaultTaskBudget   = 256
	defaultInjectLimit  = 1 << 16
	defaultBudget       = 1 << 10
	defaultStallAfter   = 2 * time.Millisecond
	minStallAfter       = 100 * time.Microsecond
	maxStallAfter       = time.Second // Shutdown waits for a look of the monitor
	defaultDemoteAfter  = 3
	maxDemoteAfter      = 1 << 20 // its multiples are counted in 32 bits
	defaultDemoteWindow = time.Second
)

// Clock is the time that an executor lives in. Both methods must be safe from any goroutine.
type Clock interface {
	// Now is a monotonic time in nanoseconds. It must be > 0.
	Now() int64
	// Sleep returns after d. Only the monitor sleeps on it.
	Sleep(d time.Duration)
}

// Driver is what a worker waits on.
//
// A Driver that has a method Close() error is closed by the executor once: on the runner, when its worker stops, or
// by New when another worker could not be made.
type Driver interface {
	// Poll starts what was submitted and delivers completions, and returns how many. It waits for the first of them
	// at most for wait, without limit when wait < 0, not at all when 0. Only the runner calls it, never two at a
	// time, but not always from the same goroutine or thread. An error means that the driver is broken: it is not
	// polled again, and Config.OnDriverError is told.
	Poll(wait time.Duration) (int, error)
	// Wake ends the Poll that is under way, or the next one. Any goroutine.
	Wake()
	// InFlight is the number of operations that may complete. Any goroutine.
	InFlight() int
}

// Config configures an Executor. The zero value works.
type Config struct {
	// Workers is the number of workers; 0 means runtime.GOMAXPROCS(0). At most MaxWorkers.
	Workers int
	// NewDriver makes the driver of a worker; nil means a driver that does no I/O. New calls it, on its caller's
	// goroutine, once per worker.
	NewDriver func(*Worker) (Driver, error)
	// Clock is the time; nil means the system's monotonic clock.
	Clock Clock
	// Rand seeds the workers' random choices (where stealing begins). New draws from it and nobody does later; nil
	// means a random seed.
	Rand rand.Source
	// TaskBudget is how many tasks a worker runs before it polls its driver; 0 means 256, at most MaxTaskBudget.
	TaskBudget int
	// CoroutineBudget is how many operations that did not have to wait a coroutine may do in a row before it yields
	// to the others of its worker; see Checkpoint. 0 means 1024, at most MaxBudget. Spawn.Budget overrides it.
	CoroutineBudget int
	// InjectLimit bounds, per worker, the coroutines that were started from outside the worker and have not begun to
	// run; 0 means 65536, at most MaxInjectLimit. Beyond it Go returns ErrQueueFull. Wake-ups are bounded by the
	// number of coroutines and are never refused.
	InjectLimit int
	// StallAfter is how long one task may hold its worker up while other work waits, and how often the monitor looks; so
	// the hand-over follows between once and twice this time, plus what the clock's sleeps are late by (on Linux
	// each is rounded up to a whole millisecond). 0 means 2 ms; 100 µs to 1 s.
	StallAfter time.Duration
	// DemoteAfter is the number of hand-overs within DemoteWindow of each other after which a coroutine becomes an
	// ordinary goroutine, and the number of slow runs (longer than an eighth of StallAfter, and than 250 µs) of which fewer
	// than 16 short ones came after each. One slow run is enough while more than one in 16 of all runs of the worker is
	// slow. 0 means 3, < 0 never; at most 1<<20.
	DemoteAfter int
	// DemoteWindow is the time after which an earlier hand-over is forgotten: on a busy machine a coroutine that
	// does nothing wrong is now and then kept off the CPU for longer than StallAfter. 0 means 1 s.
	DemoteWindow time.Duration
	// NoSteal keeps tasks on the worker that they were made ready on.
	NoSteal bool
	// OnPanic is told of a panic in a Task, and in a coroutine that has no exit hook. It runs where the panic
	// happened. nil means that it is written to the standard logger.
	OnPanic func(*PanicError)
	// OnDriverError is told, in loop state, that the driver of a worker broke. nil means the standard logger.
	OnDriverError func(*Worker, error)
	// OnShutdown is called by the first Shutdown once no new work is accepted and before it waits for the coroutines
	// to end: the place to close what they wait for. Its error is Shutdown's.
	OnShutdown func(context.Context) error
}

func (c Config) withDefaults() (Config, error) {
	var err error
	c.Workers = limited(&err, "Workers", c.Workers, runtime.GOMAXPROCS(0), MaxWorkers)
	c.TaskBudget = limited(&err, "TaskBudget", c.TaskBudget, defaultTaskBudget, MaxTaskBudget)
	c.CoroutineBudget = limited(&err, "CoroutineBudget", c.CoroutineBudget, defaultBudget, MaxBudget)
	c.InjectLimit = limited(&err, "InjectLimit", c.InjectLimit, defaultInjectLimit, MaxInjectLimit)
	if c.StallAfter == 0 {
		c.StallAfter = defaultStallAfter
	}
	if c.StallAfter < minStallAfter || c.StallAfter > maxStallAfter {
		err = errors.Join(err, fmt.Errorf("executor: Config.StallAfter is %v: use 0 for the default or %v to %v",
			c.StallAfter, minStallAfter, maxStallAfter))
	}
	if c.DemoteAfter == 0 {
		c.DemoteAfter = defaultDemoteAfter
	}
	if c.DemoteAfter > maxDemoteAfter {
		err = errors.Join(err, fmt.Errorf("executor: Config.DemoteAfter is %d: use 0 for the default, at most %d, or < 0 for never",
			c.DemoteAfter, maxDemoteAfter))
	}
	if c.DemoteWindow == 0 {
		c.DemoteWindow = defaultDemoteWindow
	}
	if c.DemoteWindow < 0 {
		err = errors.Join(err, fmt.Errorf("executor: Config.DemoteWindow is %v: use 0 or a positive time", c.DemoteWindow))
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Rand == nil {
		c.Rand = rand.NewPCG(rand.Uint64(), rand.Uint64())
	}
	if c.NewDriver == nil {
		c.NewDriver = func(*Worker) (Driver, error) { return newParkDriver(), nil }
	}
	return c, err
}

func limited(err *error, name string, v, def, limit int) int {
	if v == 0 {
		return min(def, limit)
	}
	if v < 0 || v > limit {
		*err = errors.Join(*err, fmt.Errorf("executor: Config.%s is %d: use 0 for the default or 1 to %d", name, v, limit))
	}
	return v
}

// clockBase lies in the past so that Now is never 0.
var clockBase = time.Now().Add(-time.Second)

type systemClock struct{}

func (systemClock) Now() int64            { return int64(time.Since(clockBase)) }
func (systemClock) Sleep(d time.Duration) { time.Sleep(d) }
