package csp

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// suspensions are the places where a caller waits with a context: each is called so that it waits, and must give up,
// with the context's cause, before and while it waits, and leave nothing behind.
var suspensions = map[string]func() (wait func(context.Context) error, clean func() bool){
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

func TestCancelAtEverySuspension(t *testing.T) {
	boom := errors.New("boom")
	for name, make := range suspensions {
		t.Run(name, func(t *testing.T) {
			worlds(t, func(w *world) {
				for round := range 50 {
					wait, clean := make()
					ctx, cancel := context.WithCancelCause(context.Background())
					if round == 0 {
						cancel(boom)
					}
					w.spawn(func() {
						if err := wait(ctx); err != boom {
							w.Errorf("gave up with %v", err)
						}
					})
					if round%2 == 1 {
						time.Sleep(20 * time.Microsecond) // more likely while it waits; either way it must give up
					}
					cancel(boom)
					w.wait()
					require.True(w, clean(), "something was left behind")
				}
			})
		})
	}
}

// notSuspensions take a context and do not wait.
var notSuspensions = []string{"Done"}

// The table above is complete: every exported function that takes a context is in it.
func TestSuspensionsAreComplete(t *testing.T) {
	var found []string
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() || !takesContext(fn) {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				name = receiverName(fn.Recv.List[0].Type) + "." + name
			}
			if !slices.Contains(notSuspensions, name) {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	require.Equal(t, slices.Sorted(maps.Keys(suspensions)), found)
}

func takesContext(fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		if s, ok := p.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" {
			return true
		}
	}
	return false
}

func receiverName(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.StarExpr:
		return receiverName(x.X)
	case *ast.IndexExpr:
		return receiverName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}
