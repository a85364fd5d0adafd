package executor

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDequeModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d deque
		d.init()
		var model []*Task
		expect := func(got *Task) {
			if len(model) == 0 {
				require.Nil(t, got)
				return
			}
			require.Same(t, model[0], got)
			model = model[1:]
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(t, "n") {
					x := new(Task)
					d.push(x)
					model = append(model, x)
				}
			},
			"take":  func(t *rapid.T) { expect(d.take()) },
			"steal": func(t *rapid.T) { expect(d.steal()) },
			"takeMany": func(t *rapid.T) {
				for range rapid.IntRange(1, 150).Draw(t, "n") {
					expect(d.take())
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), d.len())
				require.Equal(t, len(model) == 0, d.empty())
			},
		})
	})
}

// Every task that the owner pushes is taken once, by the owner or a thief, and each party sees rising order.
func TestDequeStress(t *testing.T) {
	const total, thieves = 400_000, 3
	var d deque
	d.init()
	tasks := make([]Task, total)
	index := make(map[*Task]int, total)
	for i := range tasks {
		index[&tasks[i]] = i
	}
	taken := make([]atomic.Int32, total)
	var count atomic.Int64
	saw := func(last *int, x *Task) {
		i := index[x]
		if i <= *last {
			t.Errorf("task %d after %d", i, *last)
		}
		*last = i
		taken[i].Add(1)
		count.Add(1)
	}
	var g sync.WaitGroup
	for range thieves {
		g.Go(func() {
			last := -1
			for count.Load() < total {
				if x := d.steal(); x != nil {
					saw(&last, x)
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	last := -1
	for i := range tasks {
		d.push(&tasks[i])
		if i%2 == 0 { // keeps it nearly empty, where all parties meet
			if x := d.take(); x != nil {
				saw(&last, x)
			}
		}
	}
	for count.Load() < total {
		if x := d.take(); x != nil {
			saw(&last, x)
		} else {
			runtime.Gosched()
		}
	}
	g.Wait()
	for i := range taken {
		require.EqualValues(t, 1, taken[i].Load(), "task %d", i)
	}
}

// What the owner has taken is not kept reachable by the ring.
func TestDequeForgets(t *testing.T) {
	var d deque
	d.init()
	for range 10 * dequeStart {
		d.push(new(Task))
	}
	for d.take() != nil {
	}
	r := d.ring.Load()
	for i := range r.slots {
		require.Nil(t, r.slots[i].Load())
	}
}

func TestPriorityBounds(t *testing.T) {
	var q readyQueue
	q.init()
	for _, p := range []Priority{High, Normal, Low} {
		for range 4096 {
			q.push(&Task{prio: p})
		}
	}
	var sinceNormal, sinceLow, high int
	for range 2048 {
		sinceNormal++
		sinceLow++
		switch q.pick().prio {
		case Normal:
			sinceNormal = 0
		case Low:
			sinceLow = 0
		case High:
			high++
		}
		require.Less(t, sinceNormal, 2*normalEvery) // every fourth of its turns is Low's
		require.Less(t, sinceLow, lowEvery)
	}
	require.Equal(t, 2048*7/8, high)
}

func TestPriorityOrder(t *testing.T) {
	var q readyQueue
	q.init()
	for _, p := range []Priority{Low, Normal, High} {
		q.push(&Task{prio: p})
	}
	for _, p := range []Priority{High, Normal, Low} {
		require.Equal(t, p, q.pick().prio)
	}
	require.Nil(t, q.pick())
	require.True(t, q.empty())
}

func TestListsKeepOrderAndClose(t *testing.T) {
	var l taskList
	a, b := new(Task), new(Task)
	require.True(t, l.push(a))
	require.False(t, l.close())
	require.True(t, l.push(b))
	require.Same(t, a, l.takeAll())
	require.Same(t, b, a.next)
	require.Nil(t, b.next)
	require.True(t, l.close())
	require.True(t, l.close())
	require.False(t, l.push(a))
	require.True(t, l.empty())
	require.Nil(t, l.takeAll())

	var c commandList
	x, y := new(Command), new(Command)
	require.True(t, c.push(x))
	require.True(t, c.push(y))
	require.Same(t, x, c.takeAll())
	require.Same(t, y, x.next)
	require.True(t, c.close())
	require.False(t, c.push(x))
}
