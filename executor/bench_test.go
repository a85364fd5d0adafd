package executor

import (
	"iter"
	"runtime"
	"testing"
)

func benchWorker(b *testing.B) *Worker {
	e := start(b, Config{Workers: 1})
	return e.Workers()[0]
}

// What iter.Pull alone costs: one resume, one suspension.
func BenchmarkPullAlone(b *testing.B) {
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		for yield(struct{}{}) {
		}
	})
	defer stop()
	for b.Loop() {
		next()
	}
}

// Two coroutines of one worker wake each other: per round two suspensions, two resumes and two wake-ups.
func BenchmarkWakeSuspendResume(b *testing.B) {
	w := benchWorker(b)
	b.ReportAllocs()
	var x, y Waiter
	call(b, w, func() {
		n := b.N
		done := false
		var end Waiter
		end.Prepare()
		x.Prepare()
		w.Go(func() {
			y.Prepare()
			for !done {
				x.Wake()
				y.Wait()
				y.Prepare()
			}
			end.Wake()
		})
		x.Wait()
		b.ResetTimer()
		for range n {
			x.Prepare()
			y.Wake()
			x.Wait()
		}
		b.StopTimer()
		done = true
		y.Wake()
		end.Wait()
	})
}

func BenchmarkYield(b *testing.B) {
	w := benchWorker(b)
	b.ReportAllocs()
	call(b, w, func() {
		for b.Loop() {
			Yield()
		}
	})
}

func BenchmarkReadyAndRun(b *testing.B) {
	w := benchWorker(b)
	b.ReportAllocs()
	var x Waiter
	n := 0
	var task *Task
	task = newTask(Normal, func(*Worker) {
		if n++; n < b.N {
			w.Ready(task)
			return
		}
		x.Wake()
	})
	x.Prepare()
	w.Ready(task)
	x.Wait()
}

// Ready from a goroutine, with the worker asleep each time.
func BenchmarkReadyFromOutside(b *testing.B) {
	w := benchWorker(b)
	b.ReportAllocs()
	var x Waiter
	task := newTask(Normal, func(*Worker) { x.Wake() })
	for b.Loop() {
		x.Prepare()
		w.Ready(task)
		x.Wait()
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	w := benchWorker(b)
	call(b, w, func() {
		for b.Loop() {
			if s, ok := w.Enter(); ok {
				s.Leave()
			}
		}
	})
}

func BenchmarkEnterElsewhere(b *testing.B) {
	w := benchWorker(b)
	for b.Loop() {
		w.Enter()
	}
}

func BenchmarkGetg(b *testing.B) {
	for b.Loop() {
		getg()
	}
}

func BenchmarkCurrent(b *testing.B) {
	w := benchWorker(b)
	call(b, w, func() {
		for b.Loop() {
			Current()
		}
	})
}

func BenchmarkSpawn(b *testing.B) {
	w := benchWorker(b)
	b.ReportAllocs()
	call(b, w, func() {
		var x Waiter
		for b.Loop() {
			x.Prepare()
			w.Go(func() { x.Wake() })
			x.Wait()
		}
	})
}

func BenchmarkTimerSetLater(b *testing.B) {
	w := benchWorker(b)
	tm := newTimer(w, func() {})
	at := w.Now() + 1<<50
	for b.Loop() {
		at++
		tm.Set(at)
	}
	tm.Stop()
}

// The memory of a coroutine that waits, with its stack.
func BenchmarkIdleCoroutine(b *testing.B) {
	const n = 10_000
	w := benchWorker(b)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		waiters := make([]Waiter, n)
		for i := range waiters {
			for w.Go(func() {
				waiters[i].PrepareNear(w)
				waiters[i].Wait()
			}) != nil {
				runtime.Gosched()
			}
		}
		call(b, w, func() {})
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stackB/coroutine")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heapB/coroutine")
		for i := range waiters {
			for !waiters[i].Wake() {
				runtime.Gosched()
			}
		}
		call(b, w, func() {})
	}
}
