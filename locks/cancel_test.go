package locks

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
)

// suspensions are the places where a caller waits with a context: each is called so that it waits, and must give up,
// with the context's cause, before and while it waits. over then frees what the wait was for; it reports whether nothing
// was left behind.
var suspensions = map[string]func() (wait func(context.Context) error, over func() bool){
	"Mutex.LockContext": func() (func(context.Context) error, func() bool) {
		var m Mutex
		m.Lock()
		return m.LockContext, func() bool { m.Unlock(); return m.TryLock() }
	},
	"RWMutex.LockContext": func() (func(context.Context) error, func() bool) {
		var m RWMutex
		m.RLock()
		return m.LockContext, func() bool { return m.TryRLock() }
	},
	"RWMutex.RLockContext": func() (func(context.Context) error, func() bool) {
		var m RWMutex
		m.Lock()
		return m.RLockContext, func() bool { m.Unlock(); return m.TryLock() }
	},
	"Semaphore.AcquireContext": func() (func(context.Context) error, func() bool) {
		s := NewSemaphore(3)
		s.Acquire(1)
		return func(ctx context.Context) error { return s.AcquireContext(ctx, 3) }, func() bool { return s.TryAcquire(2) }
	},
	"Cond.WaitContext": func() (func(context.Context) error, func() bool) {
		var m Mutex
		c := NewCond(&m)
		return func(ctx context.Context) error {
			m.Lock()
			defer m.Unlock()
			return c.WaitContext(ctx)
		}, func() bool { return m.TryLock() && length(&c.mu, &c.queue) == 0 }
	},
	"WaitGroup.WaitContext": func() (func(context.Context) error, func() bool) {
		var g WaitGroup
		g.Add(1)
		return g.WaitContext, func() bool { return length(&g.mu, &g.queue) == 0 }
	},
	"Once.DoContext": func() (func(context.Context) error, func() bool) {
		var o Once
		o.m.Lock() // as while another party's call is under way
		return func(ctx context.Context) error { return o.DoContext(ctx, func() {}) },
			func() bool { o.m.Unlock(); return !o.Done() && o.m.TryLock() }
	},
	"Mutex.LockContext (barging)": func() (func(context.Context) error, func() bool) {
		m := Mutex{Barging: true}
		m.Lock()
		return m.LockContext, func() bool { m.Unlock(); return m.TryLock() }
	},
}

func TestCancelAtEverySuspension(t *testing.T) {
	boom := errors.New("boom")
	for name, make := range suspensions {
		t.Run(name, func(t *testing.T) {
			worlds(t, func(w *world) {
				for round := range 50 {
					wait, over := make()
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
					require.True(w, over(), "something was left behind")
				}
			})
		})
	}
}

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
			found = append(found, name)
		}
	}
	slices.Sort(found)
	want := slices.DeleteFunc(slices.Sorted(maps.Keys(suspensions)), func(s string) bool { return strings.Contains(s, " ") })
	require.Equal(t, want, found)
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
