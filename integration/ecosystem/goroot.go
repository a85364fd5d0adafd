package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// The standard library's own tests of package net and net/http are inside their packages, or know their inside by an
// export_test.go. Here they are moved outside: into a package of their own in a module of its own, which imports the
// package under test with a dot. What does not compile then is taken out, declaration by declaration, until the rest
// does: tests of the inside go, those that use the exported API stay. Some helpers that they need are written anew in
// shims/. The result runs on the standard library like on ours, so that it can be compared.

//go:embed shims
var shims embed.FS

// shimmed are the internal packages with a stand-in.
var shimmed = map[string]string{
	"internal/testenv":      "testenv",
	"internal/syscall/unix": "unix",
	"internal/race":         "race",
	"internal/asan":         "asan",
	"internal/poll":         "poll",
	"internal/nettrace":     "nettrace",
	"internal/synctest":     "synctest",
}

// copied are the internal packages that are copied, as they need nothing internal themselves.
var copied = map[string]string{
	"net/http/internal":          "internalhttp",
	"net/http/internal/testcert": "testcert",
}

// scratchModule is the path of the module that the tests are moved to.
const scratchModule = "moved.test"

// moved rewrites what stands in the way of moving a package's tests outside, as text.
var moved = map[string]*strings.Replacer{
	"net": strings.NewReplacer(
		"\npackage net\n", "\npackage net_test\n\nimport . \"net\"\n",
		// Types that have no name outside. Errors of a deadline have a method that tells.
		"*timeoutError, ", "", "*poll.DeadlineExceededError", "interface{ Timeout() bool }",
		// Methods on the package's types.
		"func (e *OpError) isValid()", "func opErrorIsValid(e *OpError)", "err.isValid()", "opErrorIsValid(err)",
		"func (ln *TCPListener) port()", "func portTCP(ln *TCPListener)", "func (c *UDPConn) port()", "func portUDP(c *UDPConn)",
		"ln1.(*TCPListener).port()", "portTCP(ln1.(*TCPListener))", "lns[0].port()", "portTCP(lns[0])",
		"c1.(*UDPConn).port()", "portUDP(c1.(*UDPConn))", "cs[0].port()", "portUDP(cs[0])",
		"addr.isWildcard()", "isWildcard(addr)",
		"checkDualStackAddrFamily(fd)", "error(nil)"),
	"net/http": strings.NewReplacer(
		"httptest.NewServer(", "listenServer(", "httptest.NewTLSServer(", "listenTLSServer(",
		"httptest.NewUnstartedServer(", "listenUnstartedServer("),
}

// moveTests makes dir a module with the tests of the standard library's package path.
func (c checkout) moveTests(ctx context.Context) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if _, err := c.run(ctx, c.dir, "go", "mod", "init", scratchModule); err != nil {
		return err
	}
	for _, m := range []string{"golang.org/x/net", "golang.org/x/sys"} {
		v, err := c.run(ctx, c.o.root+"/integration", "go", "list", "-m", "-f", "{{.Version}}", m)
		if err != nil {
			return err
		}
		if _, err := c.run(ctx, c.dir, "go", "mod", "edit", "-require="+m+"@"+string(bytes.TrimSpace(v))); err != nil {
			return err
		}
	}
	for _, name := range shimmed {
		if err := c.copyShim(name+".go.txt", filepath.Join("shims", name, name+".go")); err != nil {
			return err
		}
	}
	for path, name := range copied {
		if err := c.copyPackage(path, filepath.Join("shims", name)); err != nil {
			return err
		}
	}
	from := filepath.Join(build.Default.GOROOT, "src", c.m.path)
	for _, data := range []string{"testdata", "../testdata"} {
		data := filepath.FromSlash(data)
		if _, err := os.Stat(filepath.Join(from, data)); err != nil {
			continue
		}
		if err := os.CopyFS(filepath.Join(c.dir, data), os.DirFS(filepath.Join(from, data))); err != nil {
			return err
		}
	}
	return c.copyTests(ctx, from)
}

func (c checkout) copyShim(name, to string) error {
	b, err := shims.ReadFile("shims/" + name)
	if err != nil {
		return err
	}
	to = filepath.Join(c.dir, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func (c checkout) copyPackage(path, to string) error {
	all, err := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", path, "*.go"))
	if err != nil {
		return err
	}
	for _, file := range all {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		to := filepath.Join(c.dir, to)
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// outside are the internal packages that can be had from outside, and where in shims.
func outside() map[string]string {
	all := maps.Clone(shimmed)
	maps.Copy(all, copied)
	return all
}

// copyTests copies the tests of folder from, and takes out what does not compile.
func (c checkout) copyTests(ctx context.Context, from string) error {
	base := filepath.Base(c.m.path)
	// First in the alphabet: of what is declared twice, the second is taken out.
	names := []string{"a_shim_test.go"}
	if err := c.copyShim(base+"_test.go.txt", names[0]); err != nil {
		return err
	}
	all, err := filepath.Glob(filepath.Join(from, "*_test.go"))
	if err != nil {
		return err
	}
	for _, path := range all {
		name := filepath.Base(path)
		if ok, err := build.Default.MatchFile(from, name); err != nil || !ok {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		src := moved[c.m.path].Replace(string(b))
		for internal, name := range outside() {
			src = strings.ReplaceAll(src, `"`+internal+`"`, `"`+scratchModule+`/shims/`+name+`"`)
		}
		if !strings.Contains(src, "\npackage "+base+"_test") {
			continue
		}
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(src), 0o600); err != nil {
			return err
		}
		names = append(names, name)
	}
	p, err := parsePruned(c.dir, names)
	if err != nil {
		return err
	}
	if c.o.keep {
		p.log = func(at token.Position, why string) {
			fmt.Printf("# left out %s: %s\n", filepath.Base(at.String()), why)
		}
	}
	if err := p.prune(ctx); err != nil {
		return err
	}
	return p.write()
}

// pruned is a package whose declarations that do not compile are taken out.
type pruned struct {
	dir   string
	fset  *token.FileSet
	names []string
	files []*ast.File
	log   func(at token.Position, why string)
}

func parsePruned(dir string, names []string) (*pruned, error) {
	p := &pruned{dir: dir, fset: token.NewFileSet(), names: names}
	for _, name := range names {
		f, err := parser.ParseFile(p.fset, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
	}
	return p, nil
}

// prune takes out what does not compile, and what does not compile without that, and so on.
func (p *pruned) prune(ctx context.Context) error {
	// The importer asks the go command, by the environment, where the packages are.
	for _, e := range environment {
		k, v, _ := strings.Cut(e, "=")
		if err := os.Setenv(k, v); err != nil {
			return err
		}
	}
	build.Default.CgoEnabled, build.Default.Dir = false, p.dir
	imp := exported{importer.ForCompiler(p.fset, "source", nil).(types.ImporterFrom)}
	for ctx.Err() == nil {
		var errs []types.Error
		conf := types.Config{Importer: imp, Error: func(err error) {
			var e types.Error
			if errors.As(err, &e) {
				errs = append(errs, e)
			}
		}}
		if _, err := conf.Check(scratchModule, p.fset, p.files, nil); err == nil {
			return nil
		}
		out := 0
		for _, e := range errs {
			// With a tab it continues the one before: where else it was declared.
			if strings.HasPrefix(e.Msg, "\t") || !p.remove(e.Pos) {
				continue
			}
			out++
			if p.log != nil {
				p.log(p.fset.Position(e.Pos), e.Msg)
			}
		}
		if out == 0 && len(errs) > 0 {
			return fmt.Errorf("cannot be moved outside its package: %w", errs[0])
		}
	}
	return ctx.Err()
}

// exported imports everything but internal packages.
type exported struct{ types.ImporterFrom }

func (i exported) ImportFrom(path, dir string, mode types.ImportMode) (*types.Package, error) {
	if strings.HasPrefix(path, "internal/") || strings.Contains(path+"/", "/internal/") {
		return nil, fmt.Errorf("%s is internal", path)
	}
	return i.ImporterFrom.ImportFrom(path, dir, mode)
}

// remove takes out the declaration at pos. It reports false when that has been done already.
func (p *pruned) remove(pos token.Pos) bool {
	for _, f := range p.files {
		if pos < f.FileStart || f.FileEnd < pos {
			continue
		}
		for i, d := range f.Decls {
			if pos < d.Pos() || d.End() <= pos {
				continue
			}
			g, several := d.(*ast.GenDecl)
			if several {
				for j, s := range g.Specs {
					if s.Pos() <= pos && pos < s.End() {
						g.Specs = append(g.Specs[:j:j], g.Specs[j+1:]...)
						break
					}
				}
			}
			if !several || len(g.Specs) == 0 {
				f.Decls = append(f.Decls[:i:i], f.Decls[i+1:]...)
			}
			return true
		}
	}
	return false
}

// write writes the files as they are now. Of the comments it keeps those in front of the package clause and those inside
// of what is left.
func (p *pruned) write() error {
	for i, f := range p.files {
		path := filepath.Join(p.dir, p.names[i])
		var kept []*ast.CommentGroup
		for _, c := range f.Comments {
			keep := c.End() < f.Package
			for _, d := range f.Decls {
				keep = keep || d.Pos() <= c.Pos() && c.Pos() < d.End()
			}
			if keep {
				kept = append(kept, c)
			}
		}
		f.Comments = kept
		var b bytes.Buffer
		if err := format.Node(&b, p.fset, f); err != nil {
			return err
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}
