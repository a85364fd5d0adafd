package contestant

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/bench/internal/proc"
	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// timerRun is the state of one run of the job Timers: count timers, due evenly over spread.
type timerRun struct {
	count  int
	spread time.Duration
	start  time.Time
	// late is each timer's lateness in nanoseconds, written by the timer alone.
	late []int64
	left atomic.Int64
	done chan struct{}
}

func (t *timerRun) due(i int) time.Duration {
	return t.spread/10 + time.Duration(int64(t.spread)*int64(i)/int64(t.count))
}

func (t *timerRun) fired(i int) {
	t.late[i] = int64(time.Since(t.start) - t.due(i))
	if t.left.Add(-1) == 0 {
		close(t.done)
	}
}

// newTimerRun reads count and spread (milliseconds).
func newTimerRun(a protocol.Args) (*timerRun, error) {
	count, err := a.Int("count")
	if err != nil {
		return nil, err
	}
	ms, err := a.Int("spread")
	if err != nil {
		return nil, err
	}
	if count < 1 || ms < 1 {
		return nil, fmt.Errorf("count=%d spread=%d: give at least one timer and 1 ms", count, ms)
	}
	t := &timerRun{count: count, spread: time.Duration(ms) * time.Millisecond, late: make([]int64, count),
		done: make(chan struct{})}
	t.left.Store(int64(count))
	return t, nil
}

// armAll arms the timers, not in the order in which they are due.
func (t *timerRun) armAll(arm func(i int)) {
	stride := 7919 // primes: a stride that does not divide the count visits all
	if t.count%stride == 0 {
		stride = 7907
	}
	for n := range t.count {
		arm(n * stride % t.count)
	}
}

// runTimers arms with arm and waits for all.
func runTimers(a protocol.Args, prepare func(*timerRun) (arm func(i int))) (r protocol.Result, err error) {
	t, err := newTimerRun(a)
	if err != nil {
		return r, err
	}
	arm := prepare(t)
	runtime.GC()
	base, err := proc.MemoryOf(os.Getpid())
	if err != nil {
		return r, err
	}
	before, err := protocol.Rusage()
	if err != nil {
		return r, err
	}
	t.start = time.Now()
	t.armAll(arm)
	full, err := proc.MemoryOf(os.Getpid())
	if err != nil {
		return r, err
	}
	<-t.done
	r.WindowNs = int64(time.Since(t.start))
	after, err := protocol.Rusage()
	if err != nil {
		return r, err
	}
	after.Since(before, &r)
	r.Requests, r.TotalRequests = uint64(t.count), uint64(t.count)
	r.PSSBytes, r.RSSBytes = full.PSS-base.PSS, full.RSS-base.RSS
	return r, t.lateness(&r)
}

func (t *timerRun) lateness(r *protocol.Result) error {
	h := protocol.NewHistogram()
	for _, l := range t.late {
		if l < 0 {
			return fmt.Errorf("a timer fired %v early", time.Duration(-l))
		}
		protocol.Record(h, l)
	}
	r.SetLatency(h)
	return nil
}

// stdTimers uses package time: a timer with a function, or (variant=sleep) a goroutine that sleeps.
func stdTimers(a protocol.Args) (protocol.Result, error) {
	return runTimers(a, func(t *timerRun) func(int) {
		if a["variant"] == "sleep" {
			return func(i int) {
				go func() {
					time.Sleep(t.due(i) - time.Since(t.start))
					t.fired(i)
				}()
			}
		}
		return func(i int) { time.AfterFunc(t.due(i)-time.Since(t.start), func() { t.fired(i) }) }
	})
}

// ouroTimer is one timer of the executor.
type ouroTimer struct {
	executor.Timer
	run *timerRun
	i   int
}

// OnTimer runs in loop state.
func (t *ouroTimer) OnTimer(*executor.Worker, *executor.Timer) { t.run.fired(t.i) }

// ouroTimers uses the executor: a timer with a handler, or (variant=sleep) a coroutine that sleeps.
func ouroTimers(a protocol.Args) (protocol.Result, error) {
	e, err := proactor.Default()
	if err != nil {
		return protocol.Result{}, err
	}
	workers := e.Executor().Workers()
	return runTimers(a, func(t *timerRun) func(int) {
		if a["variant"] == "sleep" {
			return func(i int) {
				sleeper := func() {
					executor.Sleep(t.due(i) - time.Since(t.start))
					t.fired(i)
				}
				for e.Executor().Go(sleeper) != nil {
					time.Sleep(time.Millisecond) // so many wait to be started that the engine refuses more
				}
			}
		}
		return func(i int) {
			w := workers[i%len(workers)]
			x := &ouroTimer{run: t, i: i}
			x.Init(w, x)
			in := t.due(i) - time.Since(t.start) // first: what passes until Set makes it late, never early
			x.Set(w.Now() + int64(in))
		}
	})
}
