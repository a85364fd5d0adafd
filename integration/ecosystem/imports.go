package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const ours = "github.com/ouro-io/ouro"

// changeImports changes the import of "net" to ours in every Go file below dir but those in std. It returns how many it
// has changed.
func changeImports(dir string, std map[string]string) (int, error) {
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || std[filepath.ToSlash(name)] != "" {
			return err
		}
		changed, err := changeImport(path)
		if changed {
			n++
		}
		return err
	})
	return n, err
}

func changeImport(path string) (bool, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ImportsOnly)
	if err != nil {
		return false, nil // test data that is not meant to be read
	}
	for _, i := range f.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err != nil || p != "net" {
			continue
		}
		from, to := fset.Position(i.Path.Pos()).Offset, fset.Position(i.Path.End()).Offset
		changed := string(src[:from]) + strconv.Quote(ours+"/net") + string(src[to:])
		return true, os.WriteFile(path, []byte(changed), 0o600)
	}
	return false, nil
}
