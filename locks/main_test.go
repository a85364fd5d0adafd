package locks

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/leaktest"
)

// hang is how long a test waits for something that must happen before it gives up.
const hang = 20 * time.Second

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is where the parties of a test run.
type world struct {
	testing.TB
	workers int // 0: all are goroutines; else party i is a coroutine, and every mixed-th a goroutine
	mixed   int
	e       *executor.Executor
	group   sync.WaitGroup
	parties int
}

// spawn starts a party.
func (w *world) spawn(f func()) {
	w.parties++
	w.group.Add(1)
	run := func() { defer w.group.Done(); f() }
	if w.workers == 0 || w.mixed > 0 && w.parties%w.mixed == 0 {
		go run()
		return
	}
	require.NoError(w, w.e.Workers()[w.parties%w.workers].Go(run))
}

// wait waits for all parties.
func (w *world) wait() {
	w.Helper()
	done := make(chan struct{})
	go func() {
		w.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(hang):
		w.Fatal("hangs")
	}
}

// worlds runs f where all parties are goroutines, where they are coroutines of 1, 2 and 8 workers, and mixed.
func worlds(t *testing.T, f func(w *world)) {
	for _, k := range []struct {
		name           string
		workers, mixed int
	}{{"goroutines", 0, 0}, {"1 worker", 1, 0}, {"2 workers", 2, 0}, {"8 workers", 8, 0}, {"mixed", 2, 3}} {
		t.Run(k.name, func(t *testing.T) {
			w := &world{TB: t, workers: k.workers, mixed: k.mixed}
			if k.workers > 0 {
				e, err := executor.New(executor.Config{Workers: k.workers})
				require.NoError(t, err)
				defer func() {
					ctx, cancel := context.WithTimeout(context.Background(), hang)
					defer cancel()
					require.NoError(t, e.Shutdown(ctx))
				}()
				w.e = e
			}
			f(w)
			w.wait()
		})
	}
}

// until waits until f holds.
func until(t testing.TB, f func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("hangs: %s", what)
		}
	}
}

// scale is how many operations a stress test does: fewer with the race detector and with -short.
func scale(n int) int {
	if raceEnabled || testing.Short() {
		return n / 20
	}
	return n
}
