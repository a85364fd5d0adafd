package protocol

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Meter counts what readers do in the window. Safe from any goroutine.
type Meter struct {
	begin, end atomic.Int64
	base       time.Time
	stop       atomic.Bool
}

// Now is the time in nanoseconds since the meter was made.
func (m *Meter) Now() int64 { return int64(time.Since(m.base)) }

// Tally is one reader's share.
type Tally struct {
	hist  *hdrhistogram.Histogram
	total uint64
}

// Done notes a request that ran from start until now, and reports whether to go on.
func (m *Meter) Done(t *Tally, start int64) bool {
	now := m.Now()
	t.total++
	if b := m.begin.Load(); b > 0 && start >= b && m.end.Load() == 0 {
		Record(t.hist, now-start)
	}
	return !m.stop.Load()
}

// Measure runs n readers, each in a goroutine or coroutine that spawn starts, for warm-up and window, and sums up. CPU time
// is the process's own.
func Measure(n int, warmup, window time.Duration, spawn func(func()) error, reader func(m *Meter, t *Tally, i int) error) (Result, error) {
	m := &Meter{base: time.Now()}
	tallies := make([]Tally, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	wg.Add(n)
	for i := range n {
		tallies[i].hist = NewHistogram()
		err := spawn(func() {
			defer wg.Done()
			errs[i] = reader(m, &tallies[i], i)
			m.stop.CompareAndSwap(false, errs[i] != nil)
		})
		if err != nil {
			return Result{}, err
		}
	}
	time.Sleep(warmup)
	before, err := Rusage()
	if err != nil {
		return Result{}, err
	}
	begin := m.Now()
	m.begin.Store(begin)
	time.Sleep(window)
	end := m.Now()
	m.end.Store(end)
	after, err := Rusage()
	if err != nil {
		return Result{}, err
	}
	m.stop.Store(true)
	wg.Wait()
	r := Result{WindowNs: end - begin}
	after.Since(before, &r)
	all := NewHistogram()
	for i := range tallies {
		if errs[i] != nil {
			return r, errs[i]
		}
		all.Merge(tallies[i].hist)
		r.TotalRequests += tallies[i].total
	}
	r.Requests = uint64(all.TotalCount())
	r.SetLatency(all)
	return r, nil
}
