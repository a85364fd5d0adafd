package net

import (
	"encoding/json"
	"go/ast"
	"go/build"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const ourPath = "github.com/ouro-io/ouro/net"

// TestAPI holds this package against the standard library's package net: every exported identifier, field and method, with
// the same signature but for the package's path. Both what is built on Linux and what is built elsewhere.
func TestAPI(t *testing.T) {
	fset := token.NewFileSet()
	imp := exportImporter(t, fset)
	std, err := imp.Import("net")
	require.NoError(t, err)
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			for _, d := range missing(std, checkedFor(t, goos, fset, imp)) {
				t.Error(d)
			}
		})
	}
}

// TestAPINotices takes things away and changes them, so that TestAPI is known to be able to fail.
func TestAPINotices(t *testing.T) {
	check := func(src string) *types.Package {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "net.go", "package net\n"+src, 0)
		require.NoError(t, err)
		p, err := new(types.Config).Check("net", fset, []*ast.File{f}, nil)
		require.NoError(t, err)
		return p
	}
	const want = `
const C = 1
var V int
type T struct { F int; g int }
func (*T) M(a int, b string) error { return nil }
func (T) N() {}
type I interface { M() }
type A []T
func F(x T, y ...I) (r A) { return nil }
func u() {}`
	require.Empty(t, missing(check(want), check(want)))
	for was, is := range map[string]string{
		"const C = 1": "const C = 2", "var V int": "var V uint", "F int;": "", "F int": "F bool", "(*T) M(a int": "(*T) M(a uint",
		"(*T) M": "(*T) m", "(T) N": "(*T) N", "interface { M() }": "interface { M(); O() }", "type A []T": "type A []I",
		"y ...I": "y []I", "(r A)": "(r T)", "const C": "var C", "func F": "func G",
	} {
		got := strings.Replace(strings.Replace(want, was, is, 1), "(r T) { return nil }", "(r T) { return }", 1)
		require.Len(t, missing(check(want), check(got)), 1, "%s → %s", was, is)
	}
}

// exportImporter imports packages from the compiler's export data.
func exportImporter(t *testing.T, fset *token.FileSet) types.Importer {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", ".")
	out, err := cmd.Output()
	require.NoError(t, err, "go list -export")
	files := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p struct{ ImportPath, Export string }
		require.NoError(t, d.Decode(&p))
		files[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
}

// checkedFor type-checks this package's files for goos.
func checkedFor(t *testing.T, goos string, fset *token.FileSet, imp types.Importer) *types.Package {
	ctx := build.Default
	ctx.GOOS = goos
	dir, err := ctx.ImportDir(".", 0)
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range dir.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(dir.Dir, name), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	p, err := (&types.Config{Importer: imp}).Check(ourPath, fset, files, nil)
	require.NoError(t, err)
	return p
}

// missing lists what of std's exported API is not in ours, or is different.
func missing(std, ours *types.Package) (diffs []string) {
	for _, name := range std.Scope().Names() {
		want := std.Scope().Lookup(name)
		if !want.Exported() {
			continue
		}
		got := ours.Scope().Lookup(name)
		switch {
		case got == nil:
			diffs = append(diffs, name+": missing")
			continue
		case kindOf(got) != kindOf(want):
			diffs = append(diffs, name+": is a "+kindOf(got)+", not a "+kindOf(want))
			continue
		}
		switch want := want.(type) {
		case *types.Const:
			if c := got.(*types.Const); text(c.Type()) != text(want.Type()) || !constant.Compare(c.Val(), token.EQL, want.Val()) {
				diffs = append(diffs, name+": "+c.String()+", not "+want.String())
			}
		case *types.TypeName:
			diffs = append(diffs, typeDiffs(name, want.Type(), got.Type())...)
		default:
			if text(got.Type()) != text(want.Type()) {
				diffs = append(diffs, name+": "+text(got.Type())+", not "+text(want.Type()))
			}
		}
	}
	return diffs
}

func kindOf(o types.Object) string {
	switch o.(type) {
	case *types.Const:
		return "constant"
	case *types.Var:
		return "variable"
	case *types.Func:
		return "function"
	}
	return "type"
}

// typeDiffs compares two types of the same name: what they are, their exported fields and their methods.
func typeDiffs(name string, want, got types.Type) (diffs []string) {
	if types.Identical(want, got) {
		return nil
	}
	wu, gu := want.Underlying(), got.Underlying()
	if ws, ok := wu.(*types.Struct); ok {
		gs, ok := gu.(*types.Struct)
		if !ok {
			return []string{name + ": not a struct"}
		}
		for i := range ws.NumFields() {
			if f := ws.Field(i); f.Exported() && !hasField(gs, f) {
				diffs = append(diffs, name+"."+f.Name()+": missing or of another type")
			}
		}
	} else if text(wu) != text(gu) {
		diffs = append(diffs, name+": "+text(gu)+", not "+text(wu))
	}
	if types.IsInterface(want) {
		return diffs // compared above, methods included
	}
	for _, pointer := range []bool{false, true} {
		w, g := want, got
		if pointer {
			w, g = types.NewPointer(want), types.NewPointer(got)
		}
		ms, values := types.NewMethodSet(w), types.NewMethodSet(want)
		for i := range ms.Len() {
			m := ms.At(i).Obj()
			if !m.Exported() || pointer && values.Lookup(m.Pkg(), m.Name()) != nil {
				continue
			}
			if o := types.NewMethodSet(g).Lookup(m.Pkg(), m.Name()); o == nil {
				diffs = append(diffs, name+"."+m.Name()+": missing")
			} else if text(o.Type()) != text(m.Type()) {
				diffs = append(diffs, name+"."+m.Name()+": "+text(o.Type())+", not "+text(m.Type()))
			}
		}
	}
	return diffs
}

func hasField(s *types.Struct, want *types.Var) bool {
	for i := range s.NumFields() {
		if f := s.Field(i); f.Name() == want.Name() {
			return text(f.Type()) == text(want.Type()) && f.Embedded() == want.Embedded()
		}
	}
	return false
}

// text writes a type with the standard library's package and ours under one name, aliases resolved, and without the
// names of parameters.
func text(t types.Type) string {
	if s, ok := types.Unalias(t).(*types.Signature); ok {
		bare := types.NewSignatureType(nil, nil, nil, unnamed(s.Params()), unnamed(s.Results()), s.Variadic())
		return types.TypeString(bare, qualified)
	}
	return types.TypeString(t, qualified)
}

func unnamed(t *types.Tuple) *types.Tuple {
	var vs []*types.Var
	for i := range t.Len() {
		vs = append(vs, types.NewParam(token.NoPos, nil, "", t.At(i).Type()))
	}
	return types.NewTuple(vs...)
}

func qualified(p *types.Package) string {
	if p.Path() == ourPath {
		return "net"
	}
	return p.Path()
}
