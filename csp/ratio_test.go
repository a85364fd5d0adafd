//go:build linux

package csp

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/locks"
)

// contest is a thing to do n times in two ways.
type contest struct {
	name       string
	ours, gos  func(n int)
	factor     float64 // the ratio of Go's time to ours that was aimed at
	iterations int
}

// TestRatios prints how the patterns compare with what Go itself offers, interleaved: run it with OURO_RATIOS=1, or with a
// part of the names of those that are wanted, on a quiet machine. It decides nothing.
func TestRatios(t *testing.T) {
	wanted := os.Getenv("OURO_RATIOS")
	if wanted == "" {
		t.Skip("prints measurements: set OURO_RATIOS=1, or to a part of a name")
	}
	const rounds = 9
	t.Logf("%-42s %10s %10s %7s %7s %6s", "", "ours ns", "go ns", "ratio", "cpu", "aim")
	for _, c := range contests(t) {
		if wanted != "1" && !strings.Contains(c.name, wanted) {
			continue
		}
		var ours, gos, wall, cpu []float64
		for range rounds {
			a, ac := measure(c.ours, c.iterations)
			b, bc := measure(c.gos, c.iterations)
			ours, gos = append(ours, a), append(gos, b)
			wall, cpu = append(wall, b/a), append(cpu, bc/ac)
		}
		t.Logf("%-42s %10.1f %10.1f %6.2fx %6.2fx %5.2fx", c.name, median(ours), median(gos), median(wall), median(cpu), c.factor)
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// measure returns nanoseconds of time and of CPU per iteration.
func measure(f func(n int), n int) (wall, cpu float64) {
	before, start := cpuTime(), time.Now()
	f(n)
	return float64(time.Since(start)) / float64(n), float64(cpuTime()-before) / float64(n)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// shared keeps the executors of all contests.
type shared struct{ one, two, still *executor.Executor }

func contests(t *testing.T) []contest {
	var s shared
	for e, c := range map[**executor.Executor]executor.Config{&s.one: {Workers: 1}, &s.two: {Workers: 2}, &s.still: {Workers: 2, NoSteal: true}} {
		var err error
		if *e, err = executor.New(c); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*e).Shutdown(context.Background()) })
	}
	return []contest{
		{"ping-pong, rendezvous", func(n int) { s.pingPong(n, 0, s.one) }, goPingPong, 3, 100_000},
		{"ping-pong, capacity 1", func(n int) { s.pingPong(n, 1, s.one) }, goPingPong, 3, 100_000},
		{"ping-pong, rendezvous, goroutines", func(n int) { s.pingPong(n, 0, nil) }, goPingPong, 1, 50_000},
		{"one way, capacity 64 vs unbuffered", func(n int) { s.oneWay(n, 64) }, func(n int) { goOneWay(n, 0) }, 3, 200_000},
		{"one way, capacity 64 vs capacity 64", func(n int) { s.oneWay(n, 64) }, func(n int) { goOneWay(n, 64) }, 1, 200_000},
		{"mpsc, 8 producers, 1 worker", func(n int) { s.mpsc(n, s.one) }, goMPSC, 1, 400_000},
		{"mpsc, 8 producers, 2 workers", func(n int) { s.mpsc(n, s.two) }, goMPSC, 1, 400_000},
		{"mpsc, 8 producers, all goroutines", func(n int) { s.mpsc(n, nil) }, goMPSC, 1, 400_000},
		{"select of 4, one ready", s.selectReady, goSelectReady, 1, 100_000},
		{"select of 4, waiting", func(n int) { s.selectWaiting(n, s.one) }, goSelectWaiting, 1, 50_000},
		{"select of 4, waiting, goroutines", func(n int) { s.selectWaiting(n, nil) }, goSelectWaiting, 1, 50_000},
		{"select of 4, waiting for a select", s.selectSelect, goSelectSelect, 1, 50_000},
		{"mutex, uncontended", s.mutexAlone, goMutexAlone, 0.5, 1_000_000},
		{"mutex, 8 coroutines of 2 workers", func(n int) { s.mutex(n, s.two, false) }, goMutex, 1, 200_000},
		{"barging mutex, 8 coroutines of 2 workers", func(n int) { s.mutex(n, s.two, true) }, goMutex, 1, 200_000},
		{"mutex held over a Yield, 8 of 1 worker", s.mutexYield, goMutexYield, 1, 20_000},
		{"spawn and finish, one by one", s.spawn, goSpawn, 0.5, 50_000},
		{"spawn and finish, 100 at a time", s.spawnMany, goSpawnMany, 0.5, 100_000},
		{"skewed load, 50 µs tasks, vs no stealing", func(n int) { skewed(n, s.two) }, func(n int) { skewed(n, s.still) }, 1.7, 2000},
	}
}

// on runs f as a coroutine of worker i of e and waits; without e it calls f.
func on(e *executor.Executor, i int, f func()) {
	if e == nil {
		f()
		return
	}
	done := make(chan struct{})
	if err := e.Workers()[i].Go(func() { defer close(done); f() }); err != nil {
		panic(err)
	}
	<-done
}

// beside starts f where on runs.
func beside(e *executor.Executor, f func()) {
	if e == nil {
		go f()
		return
	}
	_ = e.Workers()[0].Go(f)
}

func (s *shared) pingPong(n, size int, e *executor.Executor) {
	on(e, 0, func() {
		x, y := New[int](size), New[int](size)
		beside(e, func() {
			for v := range x.Range() {
				y.Send(v)
			}
		})
		for range n {
			x.Send(1)
			y.Recv()
		}
		x.Close()
	})
}

func goPingPong(n int) {
	x, y := make(chan int), make(chan int)
	go func() {
		for v := range x {
			y <- v
		}
	}()
	for range n {
		x <- 1
		<-y
	}
	close(x)
}

func (s *shared) oneWay(n, size int) {
	on(s.one, 0, func() {
		x := New[int](size)
		_ = s.one.Workers()[0].Go(func() {
			for i := range n {
				x.Send(i)
			}
			x.Close()
		})
		for range x.Range() {
		}
	})
}

func goOneWay(n, size int) {
	x := make(chan int, size)
	go func() {
		for i := range n {
			x <- i
		}
		close(x)
	}()
	for range x {
	}
}

// mpsc has 8 producers on the workers of e, or on goroutines.
func (s *shared) mpsc(n int, e *executor.Executor) {
	x := New[int](128)
	var g sync.WaitGroup
	g.Add(producers)
	for p := range producers {
		f := func() {
			defer g.Done()
			for i := p; i < n; i += producers {
				x.Send(i)
			}
		}
		if e == nil {
			go f()
		} else if err := e.Workers()[p%len(e.Workers())].Go(f); err != nil {
			panic(err)
		}
	}
	go func() { g.Wait(); x.Close() }()
	consume := func() {
		for range x.Range() {
		}
	}
	if e == nil {
		consume()
	} else {
		on(e, 0, consume)
	}
}

func goMPSC(n int) {
	x := make(chan int, 128)
	var g sync.WaitGroup
	for p := range producers {
		g.Go(func() {
			for i := p; i < n; i += producers {
				x <- i
			}
		})
	}
	go func() { g.Wait(); close(x) }()
	for range x {
	}
}

func (s *shared) selectReady(n int) {
	on(s.one, 0, func() {
		var c [4]*Chan[int]
		for i := range c {
			c[i] = New[int](1)
		}
		v := new(int)
		for i := range n {
			c[i&3].Send(i)
			_, _ = Select(context.Background(), Recv(c[0], v), Recv(c[1], v), Recv(c[2], v), Recv(c[3], v))
		}
	})
}

func goSelectReady(n int) {
	var c [4]chan int
	for i := range c {
		c[i] = make(chan int, 1)
	}
	for i := range n {
		c[i&3] <- i
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		}
	}
}

// selectSelect has a Select of four receives wait for one of four sends, in turns with an acknowledgement.
func (s *shared) selectSelect(n int) {
	on(s.one, 0, func() {
		c, back := [4]*Chan[int]{New[int](0), New[int](0), New[int](0), New[int](0)}, New[int](0)
		beside(s.one, func() {
			v := new(int)
			for range n {
				_, _ = Select(context.Background(), Send(c[0], v), Send(c[1], v), Send(c[2], v), Send(c[3], v))
				back.Recv()
			}
		})
		v := new(int)
		for range n {
			_, _ = Select(context.Background(), Recv(c[0], v), Recv(c[1], v), Recv(c[2], v), Recv(c[3], v))
			back.Send(1)
		}
	})
}

func goSelectSelect(n int) {
	c, back := [4]chan int{make(chan int), make(chan int), make(chan int), make(chan int)}, make(chan int)
	go func() {
		for range n {
			select {
			case c[0] <- 1:
			case c[1] <- 1:
			case c[2] <- 1:
			case c[3] <- 1:
			}
			<-back
		}
	}()
	for range n {
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		}
		back <- 1
	}
}

func (s *shared) selectWaiting(n int, e *executor.Executor) {
	on(e, 0, func() {
		var c [4]*Chan[int]
		for i := range c {
			c[i] = New[int](0)
		}
		back := New[int](0)
		beside(e, func() {
			for i := range n {
				c[i&3].Send(i)
				back.Recv()
			}
		})
		v := new(int)
		for range n {
			_, _ = Select(context.Background(), Recv(c[0], v), Recv(c[1], v), Recv(c[2], v), Recv(c[3], v))
			back.Send(1)
		}
	})
}

func goSelectWaiting(n int) {
	var c [4]chan int
	for i := range c {
		c[i] = make(chan int)
	}
	back := make(chan int)
	go func() {
		for i := range n {
			c[i&3] <- i
			<-back
		}
	}()
	for range n {
		select {
		case <-c[0]:
		case <-c[1]:
		case <-c[2]:
		case <-c[3]:
		}
		back <- 1
	}
}

func (s *shared) mutexAlone(n int) {
	var m locks.Mutex
	count := 0
	on(s.one, 0, func() {
		for range n {
			m.Lock()
			count++
			m.Unlock()
		}
	})
}

func goMutexAlone(n int) {
	var m sync.Mutex
	count := 0
	for range n {
		m.Lock()
		count++
		m.Unlock()
	}
}

const holders = 8

// everyone runs f on 8 coroutines of e.
func everyone(e *executor.Executor, f func()) {
	var g sync.WaitGroup
	g.Add(holders)
	for i := range holders {
		if err := e.Workers()[i%len(e.Workers())].Go(func() { defer g.Done(); f() }); err != nil {
			panic(err)
		}
	}
	g.Wait()
}

func (s *shared) mutex(n int, e *executor.Executor, barging bool) {
	m := locks.Mutex{Barging: barging}
	count := 0
	everyone(e, func() {
		for range n / holders {
			m.Lock()
			count++
			m.Unlock()
		}
	})
}

func goMutex(n int) {
	var m sync.Mutex
	var g sync.WaitGroup
	count := 0
	for range holders {
		g.Go(func() {
			for range n / holders {
				m.Lock()
				count++
				m.Unlock()
			}
		})
	}
	g.Wait()
}

func (s *shared) mutexYield(n int) {
	var m locks.Mutex
	everyone(s.one, func() {
		for range n / holders {
			m.Lock()
			executor.Yield()
			m.Unlock()
		}
	})
}

func goMutexYield(n int) {
	var m sync.Mutex
	var g sync.WaitGroup
	for range holders {
		g.Go(func() {
			for range n / holders {
				m.Lock()
				executor.Yield()
				m.Unlock()
			}
		})
	}
	g.Wait()
}

func (s *shared) spawn(n int) {
	w := s.one.Workers()[0]
	on(s.one, 0, func() {
		var g locks.WaitGroup
		done := g.Done
		for range n {
			g.Add(1)
			_ = w.Go(done)
			g.Wait()
		}
	})
}

func goSpawn(n int) {
	var g sync.WaitGroup
	for range n {
		g.Add(1)
		go g.Done()
		g.Wait()
	}
}

func (s *shared) spawnMany(n int) {
	w := s.one.Workers()[0]
	on(s.one, 0, func() {
		var g locks.WaitGroup
		done := g.Done
		for range n / 100 {
			g.Add(100)
			for range 100 {
				_ = w.Go(done)
			}
			g.Wait()
		}
	})
}

func goSpawnMany(n int) {
	var g sync.WaitGroup
	for range n / 100 {
		g.Add(100)
		for range 100 {
			go g.Done()
		}
		g.Wait()
	}
}

// skewed queues n tasks of 50 µs, all on one worker.
func skewed(n int, e *executor.Executor) {
	on(e, 0, func() {
		var g locks.WaitGroup
		g.Add(n)
		for range n {
			_ = e.Workers()[0].Go(func() {
				for start := time.Now(); time.Since(start) < 50*time.Microsecond; {
				}
				g.Done()
			})
		}
		g.Wait()
	})
}
