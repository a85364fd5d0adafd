package contestant

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// buildC compiles name.c, with all headers there are, and returns the program. It is kept in dir under a name made of the
// sources and the arguments, so that it is compiled once.
func buildC(ctx context.Context, src fs.FS, dir, name string, flags ...string) (string, error) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		return "", errors.New("gcc is not installed (Debian: apt-get install gcc libc6-dev)")
	}
	files, err := fs.Glob(src, "*.h")
	if err != nil {
		return "", err
	}
	files = append(files, name+".c")
	sum := sha256.New()
	fmt.Fprintln(sum, gcc, flags)
	contents := make(map[string][]byte)
	for _, f := range files {
		b, err := fs.ReadFile(src, f)
		if err != nil {
			return "", err
		}
		contents[f] = b
		sum.Write(b)
	}
	prog := filepath.Join(dir, name+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(prog); err == nil {
		return prog, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for f, b := range contents {
		if err := os.WriteFile(filepath.Join(work, f), b, 0o644); err != nil {
			return "", err
		}
	}
	args := append([]string{"-O2", "-pthread", "-o", "server", name + ".c"}, flags...)
	cmd := exec.CommandContext(ctx, gcc, args...)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", compileError(err, out)
	}
	// A rename, so that another run never executes a half-written file.
	return prog, os.Rename(filepath.Join(work, "server"), prog)
}

func compileError(err error, out []byte) error {
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	switch {
	case bytes.Contains(out, []byte("liburing.h")), bytes.Contains(out, []byte("-luring")):
		return errors.New("liburing's development files are not installed (Debian: apt-get install liburing-dev)")
	case bytes.Contains(out, []byte("IORING_")), bytes.Contains(out, []byte("io_uring_")):
		return fmt.Errorf("liburing is older than 2.3: %s", line)
	}
	return fmt.Errorf("gcc: %w: %s", err, line)
}
