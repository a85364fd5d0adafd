package csp

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// A coroutine that never has to wait gives its turn away when its budget is spent, whatever it uses. (The monitor would take
// the worker away from it too, but only after a fifth of a second here, and thousands of operations.)
func TestBudgetIsSpent(t *testing.T) {
	const budget = 64
	ctx := context.Background()
	for name, prepare := range map[string]func() (op func()){
		"Chan": func() func() {
			c := New[int](1)
			return func() { c.Send(1); c.Recv() }
		},
		"Broadcast.Send": func() func() {
			b := NewBroadcast[int](BroadcastConfig{Lag: LagDropOldest})
			return func() { b.Send(1) }
		},
		"Broadcast.TrySend": func() func() {
			b := NewBroadcast[int](BroadcastConfig{Lag: LagDropOldest})
			return func() { _ = b.TrySend(1) }
		},
		"Receiver.Recv": func() func() {
			b := NewBroadcast[int](BroadcastConfig{Capacity: 1 << 16})
			r := b.Subscribe()
			for range 1 << 16 {
				b.Send(1)
			}
			return func() { r.Recv() }
		},
		"Receiver.TryRecv, in vain": func() func() {
			r := NewBroadcast[int](BroadcastConfig{}).Subscribe()
			return func() { _, _ = r.TryRecv() }
		},
		"Select of a Receiver": func() func() {
			b := NewBroadcast[int](BroadcastConfig{Capacity: 1 << 16})
			r := b.Subscribe()
			for range 1 << 16 {
				b.Send(1)
			}
			return func() { _, _ = Select(ctx, r.Case(new(int))) }
		},
		"Watch.Set": func() func() {
			w := NewWatch(1)
			return func() { _ = w.Set(2) }
		},
		"Watcher.TryNext": func() func() {
			r := NewWatch(1).Subscribe()
			return func() { _, _ = r.TryNext() }
		},
		"Watcher.Next": func() func() {
			w := NewWatch(1)
			return func() { _, _ = w.Subscribe().Next(ctx) }
		},
		"Oneshot": func() func() {
			return func() {
				var o Oneshot[int]
				_ = o.Send(1)
				o.Recv()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := executor.New(executor.Config{Workers: 1, CoroutineBudget: budget, StallAfter: 200 * time.Millisecond, DemoteAfter: -1})
			require.NoError(t, err)
			op := prepare()
			var other atomic.Bool
			done := 0
			over := make(chan struct{})
			w := e.Workers()[0]
			require.NoError(t, w.Go(func() {
				defer close(over)
				_ = w.Go(func() { other.Store(true) })
				for !other.Load() && done < 1<<16 {
					op()
					done++
				}
			}))
			<-over
			require.NoError(t, e.Shutdown(ctx))
			require.LessOrEqual(t, done, budget+2*checkpointEvery)
		})
	}
}
