package ouro

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// files calls f for each file of the repository, with its path below the root.
func files(t *testing.T, f func(path string)) {
	n := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" || path == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && path != ".git" {
			n++
			f(path)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, n, 20, "the walk did not see the repository")
}

// TestUnsafeFiles keeps unsafe in files that are named for it, with a reason above each use.
func TestUnsafeFiles(t *testing.T) {
	unsafeFiles := 0
	files(t, func(path string) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		uses, err := importsUnsafe(path, src)
		require.NoError(t, err)
		if !uses {
			return
		}
		unsafeFiles++
		bare, sizes, err := unexplained(path, src)
		require.NoError(t, err)
		if !namedUnsafe(path) && !(sizes && strings.HasSuffix(path, "_test.go")) {
			t.Errorf("%s imports unsafe: move that part to a file named *_unsafe.go", path)
		}
		for _, at := range bare {
			t.Errorf("%s: unsafe is used in a declaration that says nowhere under // SAFETY: why that is right", at)
		}
	})
	require.Positive(t, unsafeFiles, "the test no longer finds the files that it is for")
}

func importsUnsafe(path string, src []byte) (bool, error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
	if err != nil {
		return false, err
	}
	for _, i := range f.Imports {
		if i.Path.Value == `"unsafe"` {
			return true, nil
		}
	}
	return false, nil
}

// unexplained lists the declarations that convert or compute with unsafe and have no SAFETY comment. sizes reports
// whether the file only asks for sizes, which is harmless; tests may do that anywhere.
func unexplained(path string, src []byte) (bare []string, sizes bool, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments)
	if err != nil {
		return nil, false, err
	}
	sizes = true
	for _, d := range f.Decls {
		uses := false
		ast.Inspect(d, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				uses = uses || risky(call.Fun)
			}
			if e, ok := n.(ast.Expr); ok {
				sizes = sizes && !risky(e)
			}
			return true
		})
		if uses && !explained(f, d) {
			bare = append(bare, fset.Position(d.Pos()).String())
		}
	}
	return bare, sizes, nil
}

// risky reports whether e names something of unsafe's that can go wrong.
func risky(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "unsafe" && !slices.Contains([]string{"Sizeof", "Offsetof", "Alignof"}, s.Sel.Name)
}

// explained reports whether a comment in or directly above d is about safety.
func explained(f *ast.File, d ast.Decl) bool {
	from := d.Pos()
	if fn, ok := d.(*ast.FuncDecl); ok && fn.Doc != nil {
		from = fn.Doc.Pos()
	}
	if g, ok := d.(*ast.GenDecl); ok && g.Doc != nil {
		from = g.Doc.Pos()
	}
	for _, c := range f.Comments {
		if c.Pos() >= from && c.End() <= d.End() && strings.Contains(c.Text(), "SAFETY:") {
			return true
		}
	}
	return false
}

func TestUnexplained(t *testing.T) {
	const src = `package p
import "unsafe"
const size = unsafe.Sizeof(0)
func good(p *int) unsafe.Pointer {
	// SAFETY: p is alive.
	return unsafe.Pointer(p)
}
var pointer unsafe.Pointer
func bad(p *int) unsafe.Pointer { return unsafe.Pointer(p) }
`
	bare, sizes, err := unexplained("p.go", []byte(src))
	require.NoError(t, err)
	require.False(t, sizes)
	require.Len(t, bare, 1)
	require.Contains(t, bare[0], "p.go:9")
	_, sizes, err = unexplained("p.go", []byte("package p\nimport \"unsafe\"\nconst size = unsafe.Sizeof(0)\n"))
	require.NoError(t, err)
	require.True(t, sizes)
}

func namedUnsafe(path string) bool {
	base := strings.TrimSuffix(filepath.Base(path), ".go")
	return strings.HasSuffix(base, "_unsafe") || strings.HasSuffix(base, "_unsafe_test")
}

// buildMachine matches absolute paths below the folders where people keep their work, written so that it does not match
// itself.
var buildMachine = regexp.MustCompile(`(^|[^\w.*~-])/(wor[k]|roo[t]|hom[e]|User[s]|tm[p]/wt)/\w`)

// TestNoMachinePaths finds paths of the machine that something was written or built on.
func TestNoMachinePaths(t *testing.T) {
	require.Regexp(t, buildMachine, "see /wor"+"k/x.go", "the pattern must match what it is for")
	require.NotRegexp(t, buildMachine, "examples/works/x.go and network/workers/x")
	files(t, func(path string) {
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		if bytes.IndexByte(src[:min(len(src), 8000)], 0) >= 0 {
			return // a binary
		}
		for i, line := range strings.Split(string(src), "\n") {
			if buildMachine.MatchString(line) {
				t.Errorf("%s:%d mentions a path of a build machine: %s", path, i+1, strings.TrimSpace(line))
			}
		}
	})
}
