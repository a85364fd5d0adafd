package executor

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The place in front of the deque changes nothing of the order: first in, first out per priority, whoever puts in.
func TestReadyKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q readyQueue
		q.init()
		var model []*Task
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				x := new(Task)
				q.push(x)
				model = append(model, x)
			case 2:
				x := new(Task)
				if q.offer(x) {
					require.Empty(t, model, "an offer overtook what waits")
					model = append(model, x)
				}
			default:
				take := q.pick
				if rapid.Bool().Draw(t, "stolen") {
					take = q.steal
				}
				got := take()
				if len(model) == 0 {
					require.Nil(t, got)
					continue
				}
				require.Same(t, model[0], got)
				model = model[1:]
			}
			require.Equal(t, len(model), q.len())
			require.Equal(t, len(model) == 0, q.empty())
		}
	})
}

// Many offer, one owner pushes and picks, others steal: each task comes out once.
func TestReadyOnce(t *testing.T) {
	const offering, stealing, each = 3, 2, 20_000
	var q readyQueue
	q.init()
	out := make([]atomic.Int32, (offering+1)*each)
	tasks := make([]Task, len(out))
	index := func(x *Task) *atomic.Int32 { return &out[x.state.Load()] }
	for i := range tasks {
		tasks[i].state.Store(uint32(i))
	}
	var left atomic.Int64
	left.Store(int64(len(out)))
	var g sync.WaitGroup
	for p := range offering {
		g.Go(func() {
			for i := range each {
				for !q.offer(&tasks[p*each+i]) {
					pause()
				}
			}
		})
	}
	for range stealing {
		g.Go(func() {
			for left.Load() > 0 {
				if x := q.steal(); x != nil {
					index(x).Add(1)
					left.Add(-1)
				} else {
					pause()
				}
			}
		})
	}
	for i := 0; left.Load() > 0; i++ {
		if i < each {
			q.push(&tasks[offering*each+i])
		}
		if x := q.pick(); x != nil {
			index(x).Add(1)
			left.Add(-1)
		} else {
			pause()
		}
	}
	g.Wait()
	for i := range out {
		require.EqualValues(t, 1, out[i].Load(), "task %d", i)
	}
}

func pause() { runtime.Gosched() }

// A coroutine that loses its worker in the very moment in which it wakes another: the other is not forgotten, though the
// new runner has gone to sleep.
func TestWakeAtHandOver(t *testing.T) {
	e := start(t, Config{Workers: 1, StallAfter: minStallAfter, DemoteAfter: -1})
	w := e.Workers()[0]
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	for i := range rounds {
		var x Waiter
		done := make(chan struct{})
		armed := make(chan struct{})
		require.NoError(t, w.Go(func() {
			x.Prepare()
			close(armed)
			x.Wait()
			close(done)
		}))
		<-armed
		require.NoError(t, w.Go(func() {
			// As long as it takes the monitor to come, give or take.
			for end := time.Now().Add(time.Duration(1000+i) * time.Microsecond); time.Now().Before(end); {
			}
			x.Wake()
		}))
		require.NoError(t, w.Go(func() {})) // work that waits
		select {
		case <-done:
		case <-time.After(hang):
			t.Fatal("a wake-up was lost")
		}
	}
}

// What a driver's Poll makes ready must not wake that driver: in an engine this is a system call for each turn.
func TestOwnDeliveryWakesNobody(t *testing.T) {
	d := newTestDriver()
	e := startUnwatched(t, Config{Workers: 1, NewDriver: func(*Worker) (Driver, error) { return d, nil }})
	w := e.Workers()[0]
	ran := make(chan struct{})
	var task Task
	task.Init(&callback{f: func(*Worker) { ran <- struct{}{} }}, Normal)
	for range 100 {
		d.post(func() { w.Ready(&task) })
		<-ran
	}
	require.Zero(t, d.wakes.Load())
}
