package worldtest

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Suspension makes a call that waits until its context ends, and clean, which tells whether nothing is left of it then.
type Suspension func() (wait func(context.Context) error, clean func() bool)

// Cancel calls each in every world: it must give up, with the context's cause, before it waits and while it waits, and
// leave nothing behind.
func Cancel(t *testing.T, suspensions map[string]Suspension) {
	boom := errors.New("boom")
	for name, prepare := range suspensions {
		t.Run(name, func(t *testing.T) {
			Each(t, func(w *World) {
				for round := range 50 {
					wait, clean := prepare()
					ctx, cancel := context.WithCancelCause(context.Background())
					if round == 0 {
						cancel(boom)
					}
					w.Spawn(func() {
						if err := wait(ctx); err != boom {
							w.Errorf("gave up with %v", err)
						}
					})
					if round%2 == 1 {
						time.Sleep(20 * time.Microsecond) // more likely while it waits; either way it must give up
					}
					cancel(boom)
					w.Wait()
					require.True(w, clean(), "something was left behind")
				}
			})
		})
	}
}

// Contexts lists, in order, the exported functions and methods of the package in the working directory that take a context:
// Name, or Type.Name.
func Contexts(t testing.TB) (found []string) {
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
	return found
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
