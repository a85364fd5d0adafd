package csp

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/worldtest"
)

// suspensions are the places where a caller waits with a context: each is called so that it waits, and must give up,
// with the context's cause, before and while it waits, and leave nothing behind.
var suspensions = map[string]worldtest.Suspension{
	"Chan.SendContext": func() (func(context.Context) error, func() bool) {
		c := New[int](0)
		return func(ctx context.Context) error { return c.SendContext(ctx, 1) }, func() bool { return c.waitingSenders() == 0 }
	},
	"Chan.RecvContext": func() (func(context.Context) error, func() bool) {
		c := New[int](1)
		return func(ctx context.Context) error { _, err := c.RecvContext(ctx); return err },
			func() bool { return c.waitingReceivers() == 0 }
	},
	"Broadcast.SendContext": func() (func(context.Context) error, func() bool) {
		b := NewBroadcast[int](BroadcastConfig{Capacity: 1})
		b.Subscribe()
		b.Send(1)
		return func(ctx context.Context) error { return b.SendContext(ctx, 2) }, func() bool { return b.sendersWaiting() == 0 }
	},
	"Receiver.RecvContext": func() (func(context.Context) error, func() bool) {
		b := NewBroadcast[int](BroadcastConfig{})
		r := b.Subscribe()
		return func(ctx context.Context) error { _, err := r.RecvContext(ctx); return err },
			func() bool { return len(b.wait.list) == 0 }
	},
	"Watcher.Next": func() (func(context.Context) error, func() bool) {
		w := NewWatch(1)
		r := w.Subscribe()
		_, _ = r.TryNext()
		return func(ctx context.Context) error { _, err := r.Next(ctx); return err },
			func() bool { return len(w.wait.list) == 0 }
	},
	"Oneshot.RecvContext": func() (func(context.Context) error, func() bool) {
		var o Oneshot[int]
		return func(ctx context.Context) error { _, err := o.RecvContext(ctx); return err },
			func() bool { return len(o.wait.list) == 0 }
	},
	"Select":         func() (func(context.Context) error, func() bool) { return everyCase(Select) },
	"SelectPriority": func() (func(context.Context) error, func() bool) { return everyCase(SelectPriority) },
}

// everyCase is a select with one case of each kind.
func everyCase(sel func(context.Context, ...Case) (int, error)) (func(context.Context) error, func() bool) {
	c, d := New[int](0), New[int](0)
	b := NewBroadcast[int](BroadcastConfig{})
	r := b.Subscribe()
	var o Oneshot[int]
	a := executor.After(time.Hour)
	v := new(int)
	return func(ctx context.Context) error {
			other, cancel := context.WithCancel(context.Background())
			defer cancel()
			i, err := sel(ctx, Recv(c, v), Send(d, v), r.Case(v), o.Case(v), On(a), After(time.Hour), Done(other), Recv[int](nil, v))
			if i != -1 {
				return errors.New("a case was taken")
			}
			return err
		}, func() bool {
			a.Stop()
			return c.waitingReceivers() == 0 && d.waitingSenders() == 0 && len(b.wait.list) == 0 && len(o.wait.list) == 0
		}
}

func TestCancelAtEverySuspension(t *testing.T) { worldtest.Cancel(t, suspensions) }

// notSuspensions take a context and do not wait.
var notSuspensions = []string{"Done"}

// The table above is complete: every exported function that takes a context is in it.
func TestSuspensionsAreComplete(t *testing.T) {
	found := slices.DeleteFunc(worldtest.Contexts(t), func(s string) bool { return slices.Contains(notSuspensions, s) })
	require.Equal(t, slices.Sorted(maps.Keys(suspensions)), found)
}
