package worldtest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// Hang is how long a test waits for something that must happen before it gives up.
const Hang = 30 * time.Second

// World is where the parties of a test run.
type World struct {
	testing.TB
	Workers int // 0: all are goroutines; else party i is a coroutine, and every mixed-th a goroutine

	mixed   int
	e       *executor.Executor
	group   sync.WaitGroup
	parties int
}

// Each runs f, and waits for its parties, where all are goroutines, where they are coroutines of 1, 2 and 8 workers, and
// mixed.
func Each(t *testing.T, f func(w *World)) {
	for _, k := range []struct {
		name           string
		workers, mixed int
	}{{"goroutines", 0, 0}, {"1 worker", 1, 0}, {"2 workers", 2, 0}, {"8 workers", 8, 0}, {"mixed", 2, 3}} {
		t.Run(k.name, func(t *testing.T) {
			w := &World{TB: t, Workers: k.workers, mixed: k.mixed}
			if k.workers > 0 {
				w.e = NewExecutor(t, k.workers)
			}
			f(w)
			w.Wait()
		})
	}
}

// Spawn starts a party. Only the test itself may call it.
func (w *World) Spawn(f func()) {
	w.Helper()
	w.parties++
	w.group.Add(1)
	run := func() { defer w.group.Done(); f() }
	if w.Workers == 0 || w.mixed > 0 && w.parties%w.mixed == 0 {
		go run()
		return
	}
	require.NoError(w, w.e.Workers()[w.parties%w.Workers].Go(run))
}

// Wait waits for all parties.
func (w *World) Wait() {
	w.Helper()
	done := make(chan struct{})
	go func() {
		w.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(Hang):
		w.Fatal("hangs")
	}
}

// Until waits until f holds.
func Until(t testing.TB, f func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(Hang); !f(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("hangs: %s", what)
		}
	}
}

// Scale is how many operations a stress test does that asks for n: fewer with the race detector and with -short.
func Scale(n int) int {
	if Race || testing.Short() {
		return n / 20
	}
	return n
}
