package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// attempts is how often a test that fails on ours is tried again by itself: other people's tests have timings too. The
// same number of attempts decides whether std passes it.
const attempts = 3

// compare runs m's tests on both.
func compare(ctx context.Context, o options, m module) (r report) {
	dir, err := os.MkdirTemp("", "ecosystem")
	if err != nil {
		return report{err: err}
	}
	if o.keep {
		fmt.Println("#", m.path, dir)
	} else {
		defer os.RemoveAll(dir)
	}
	c := checkout{o: o, m: m, dir: filepath.Join(dir, "m")}
	if err := c.prepare(ctx); err != nil {
		return report{err: err}
	}
	std, err := c.test(ctx, "")
	if err != nil {
		return report{err: fmt.Errorf("on std: %w", err)}
	}
	if r.files, err = changeImports(c.dir, m.std); err != nil {
		return report{err: err}
	}
	if r.files == 0 {
		return report{err: errors.New(`no file imports "net"`)}
	}
	ours, err := c.test(ctx, "")
	if err != nil {
		return report{err: fmt.Errorf("on ours: %w", err)}
	}
	r.std = len(std.passed)
	for _, name := range slices.Sorted(maps.Keys(std.passed)) {
		if ours.passed[name] || c.passesAgain(ctx, name, &r) {
			r.ours++
			continue
		}
		r.worse = append(r.worse, name)
	}
	return r
}

// checkout is the scratch copy of a module.
type checkout struct {
	o   options
	m   module
	dir string
}

// prepare copies the module or the package's tests, and makes ours available to it: on both sides, so that both have the
// same versions of everything else.
func (c checkout) prepare(ctx context.Context) error {
	if !strings.Contains(c.m.path, ".") {
		if err := c.moveTests(ctx); err != nil {
			return err
		}
	} else if err := c.copyModule(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.dir, "go.mod")); err != nil {
		if _, err := c.run(ctx, c.dir, "go", "mod", "init", c.m.path); err != nil {
			return err
		}
	}
	_, err := c.run(ctx, c.dir, "go", "mod", "edit", "-require="+ours+"@v0.0.0", "-replace="+ours+"="+c.o.root)
	if err != nil {
		return err
	}
	_, err = c.run(ctx, c.dir, "go", "mod", "download")
	return err
}

// copyModule copies the module from the module proxy.
func (c checkout) copyModule(ctx context.Context) error {
	out, err := c.run(ctx, os.TempDir(), "go", "mod", "download", "-json", c.m.path+"@"+c.m.version)
	if err != nil {
		return err
	}
	var d struct{ Dir string }
	if err := json.Unmarshal(out, &d); err != nil {
		return err
	}
	if err := os.CopyFS(c.dir, os.DirFS(d.Dir)); err != nil {
		return err
	}
	return writable(c.dir)
}

// writable undoes the read-only modes of the module cache.
func writable(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, i.Mode().Perm()|0o200)
	})
}

// outcome is what one run of `go test` found.
type outcome struct {
	passed map[string]bool // "package Test", packages without the module's path
	output map[string]*bytes.Buffer
}

// test runs the tests whose name is the one given, all without one. Tests that fail are no error; tests that cannot be
// built are.
func (c checkout) test(ctx context.Context, name string) (outcome, error) {
	args := []string{"test", "-json", "-count=1", "-vet=off", "-timeout=" + (c.o.timeout - 10*time.Second).String()}
	packages := c.m.packages
	if pkg, test, ok := strings.Cut(name, " "); ok {
		packages = []string{"./" + pkg}
		args = append(args, "-run", exactly(test))
	}
	if c.m.short {
		args = append(args, "-short")
	}
	if c.m.skip != "" {
		args = append(args, "-skip", c.m.skip)
	}
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.timeout)
	defer cancel()
	out, runErr := c.run(ctx, c.dir, "go", append(args, packages...)...)
	o := outcome{passed: map[string]bool{}, output: map[string]*bytes.Buffer{}}
	var built []string
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e struct{ Action, ImportPath, Package, Test, Output string }
		if json.Unmarshal(s.Bytes(), &e) != nil {
			continue
		}
		if e.Action == "build-output" && strings.Contains(e.Output, ".go:") {
			built = append(built, strings.TrimSpace(e.Output))
		}
		pkg := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(e.Package, c.m.path), scratchModule), "/")
		key := pkg + " " + e.Test
		switch {
		case e.Test == "":
		case e.Action == "pass":
			o.passed[key] = true
		case e.Action == "output":
			if o.output[key] == nil {
				o.output[key] = new(bytes.Buffer)
			}
			o.output[key].WriteString(e.Output)
		}
	}
	switch {
	case len(built) > 0:
		return o, fmt.Errorf("does not compile: %s", strings.Join(built, "; "))
	case name == "" && len(o.passed) == 0:
		return o, fmt.Errorf("no test passed: %w", runErr)
	}
	return o, nil
}

// exactly is the pattern that matches the test and no other.
func exactly(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// passesAgain tries a test by itself. What it printed the last time is kept for the report.
func (c checkout) passesAgain(ctx context.Context, name string, r *report) bool {
	if strings.Contains(name, "/") { // a part fails with its whole, which is tried
		top, _, _ := strings.Cut(name, "/")
		for _, w := range r.worse {
			if w == top {
				return false
			}
		}
	}
	for range attempts {
		again, err := c.test(ctx, name)
		if err == nil && again.passed[name] {
			return true
		}
		if b := again.output[name]; b != nil {
			r.output += b.String()
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return false
}

// environment is what the go command needs to know.
var environment = []string{"GOWORK=off", "GOFLAGS=-mod=mod"}

// run runs a command and returns its standard output. An error holds the end of what it printed.
func (c checkout) run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	if c.o.procs > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("GOMAXPROCS=", c.o.procs))
	}
	cmd.WaitDelay = 10 * time.Second
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, args[0], err, tail(errOut.String()))
	}
	return out, err
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-400):]
}

// repository is the root of the repository that the command was started in.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", ours).Output()
	if err != nil {
		return "", fmt.Errorf("where is %s? Start this in the integration folder of its repository: %w", ours, err)
	}
	return strings.TrimSpace(string(out)), nil
}
