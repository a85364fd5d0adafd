package proactor

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/uring"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// skipWithout skips where the kernel has no io_uring; anything else that keeps a backend from starting is a failure
// of the test that wanted it.
func skipWithout(t *testing.T, b Backend) {
	if b != IOUring || os.Getenv("OURO_REQUIRE_URING") != "" {
		return
	}
	if err := uring.Available(); errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
		t.Skip(err)
	}
}
