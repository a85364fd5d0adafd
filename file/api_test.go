//go:build linux

package file

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exported lists the functions and methods that package file has on a system.
func exported(t *testing.T, goos string) (names []string) {
	c := build.Default
	c.GOOS = goos
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		if ok, err := c.MatchFile(".", e.Name()); err != nil || !ok || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				on := fn.Recv.List[0].Type
				if star, ok := on.(*ast.StarExpr); ok {
					on = star.X
				}
				if !ast.IsExported(on.(*ast.Ident).Name) {
					continue
				}
				name = on.(*ast.Ident).Name + "." + name
			}
			names = append(names, name)
		}
	}
	return names
}

// A program that compiles on Linux compiles elsewhere: but for Files.Info, which tells of an engine that is not there, and
// Files.Simulated, which is for tests, what is not written out for other systems comes from the embedded os.File.
func TestSameAPIElsewhere(t *testing.T) {
	here, there := exported(t, "linux"), exported(t, "darwin")
	require.Greater(t, len(here), 50)
	std := reflect.TypeOf((*os.File)(nil))
	for _, name := range here {
		method, isMethod := strings.CutPrefix(name, "File.")
		if _, inherited := std.MethodByName(method); isMethod && inherited || name == "Files.Info" || name == "Files.Simulated" {
			continue
		}
		require.Contains(t, there, name)
	}
	for _, name := range there {
		require.True(t, slices.Contains(here, name), "%s is missing on Linux", name)
	}
	for i := range std.NumMethod() {
		require.Contains(t, here, "File."+std.Method(i).Name, "of os.File")
	}
}
