package contestant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Builder makes contestants' programs. It is for one goroutine.
type Builder struct {
	// Self is the command that becomes a contestant of this binary when "contestant NAME" follows.
	Self []string
	// Sources holds the C programs.
	Sources fs.FS
	// Rivals is the folder of the rivals' modules; empty when the suite does not run from a clone of the repository.
	Rivals string
	// Dir keeps what is compiled.
	Dir string
	// Programs, if set, is a folder of programs that BuildAll has made, to be used as they are: on a machine without
	// compilers.
	Programs string
}

// ErrUnavailable is wrapped by Command's errors for what cannot be built here.
var ErrUnavailable = errors.New("cannot be built here")

// Command returns the command that c's role and arguments follow, and builds the program if need be. An error says what
// is missing.
func (b *Builder) Command(ctx context.Context, c *Contestant) ([]string, error) {
	if c.Program != nil {
		return append(append([]string(nil), b.Self...), "contestant", c.Name), nil
	}
	if b.Programs != "" {
		path := filepath.Join(b.Programs, c.file())
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%w: %s is not among the programs that were brought along", ErrUnavailable, c.file())
		}
		return []string{path}, nil
	}
	if err := os.MkdirAll(b.Dir, 0o755); err != nil {
		return nil, err
	}
	path, err := b.build(ctx, c, b.Dir, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return []string{path}, nil
}

// file is the name of c's program.
func (c *Contestant) file() string {
	if c.C != "" {
		return "c-" + c.C
	}
	return c.Module
}

// BuildAll makes every program below dir, statically linked, for use as Programs elsewhere. The errors are those of
// single programs, by contestant.
func (b *Builder) BuildAll(ctx context.Context, dir string) (map[string]error, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	failed := map[string]error{}
	for _, c := range All() {
		if c.Program != nil {
			continue
		}
		path, err := b.build(ctx, c, dir, []string{"-static"})
		if err == nil {
			err = os.Rename(path, filepath.Join(dir, c.file()))
		}
		if err != nil {
			failed[c.Name] = err
		}
	}
	return failed, ctx.Err()
}

func (b *Builder) build(ctx context.Context, c *Contestant, dir string, cflags []string) (string, error) {
	if c.C != "" {
		return buildC(ctx, b.Sources, dir, c.C, append(cflags, c.Libs...)...)
	}
	return b.buildModule(ctx, c, dir)
}

// buildModule compiles a rival. Its module is not part of the workspace, so that its old dependencies stay its own.
func (b *Builder) buildModule(ctx context.Context, c *Contestant, dir string) (string, error) {
	if b.Rivals == "" {
		return "", errors.New("the rivals' sources are not here; run the suite in a clone of the repository")
	}
	src := filepath.Join(b.Rivals, c.Module)
	if _, err := os.Stat(filepath.Join(src, "go.mod")); err != nil {
		return "", err
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("the go command is not on the path")
	}
	out := filepath.Join(dir, c.Module)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", out}
	if c.LDFlags != "" {
		args = append(args, "-ldflags="+c.LDFlags)
	}
	cmd := exec.CommandContext(ctx, goTool, append(args, ".")...)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, shorten(msg))
	}
	return out, nil
}

// shorten keeps the end of a compiler's output, where the cause stands, in one line.
func shorten(msg []byte) string {
	const most = 300
	s := strings.Join(strings.Fields(string(bytes.TrimSpace(msg))), " ")
	if len(s) > most {
		s = "… " + s[len(s)-most:]
	}
	return s
}
