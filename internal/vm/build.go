//go:build linux

package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// GuestPackage is the first process of the guests.
const GuestPackage = "github.com/ouro-io/ouro/internal/vm/guest"

// Build compiles a main package, or with test the tests of any package, as a static program for guests, and returns its
// path in dir. It runs where the module of the package is known: in from.
func Build(ctx context.Context, from, dir, pkg, name string, test bool) (string, error) {
	out := filepath.Join(dir, name)
	args := []string{"build"}
	if test {
		args = []string{"test", "-c"}
	}
	c := exec.CommandContext(ctx, "go", append(args, "-ldflags=-s -w", "-o", out, pkg)...)
	c.Dir = from
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1")
	if msg, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("vm: build %s: %w\n%s", pkg, err, msg)
	}
	if _, err := os.Stat(out); err != nil {
		return "", fmt.Errorf("vm: build %s: there is nothing to run: %w", pkg, err)
	}
	return out, nil
}
