//go:build linux

package proactor

import (
	"testing"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// skipWithout skips where the kernel has no io_uring; anything else that keeps a backend from starting is a failure
// of the test that wanted it.
func skipWithout(t *testing.T, b Backend) {
	if b != IOUring {
		return
	}
	if err := denytest.NoRing(); err != nil {
		t.Skip(err)
	}
}
