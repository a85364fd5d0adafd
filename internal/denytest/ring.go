//go:build linux

package denytest

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/ouro-io/ouro/uring"
)

// requireEnv, when set, turns the reasons of NoRing off: where io_uring must be there, its absence is a failure.
const requireEnv = "OURO_REQUIRE_URING"

// NoRing tells why the io_uring backend cannot be had here, for tests to skip with: the kernel has no io_uring or forbids
// it, or is too old for what the backend is built on. It is nil otherwise, also where the backend fails for any other
// reason: then the test should.
func NoRing() error {
	if os.Getenv(requireEnv) != "" {
		return nil
	}
	err := uring.Available()
	if errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM) {
		return err
	}
	for _, name := range []string{"setup.SUBMIT_ALL", "setup.COOP_TASKRUN", "register.PBUF_RING", "use.recv-multishot"} {
		if f, ok := uring.ProbeFeature(name); !ok || f.State == uring.No {
			return fmt.Errorf("this kernel has no %s (Linux %s has): %s", name, f.FirstKernel, f.Without)
		}
	}
	return nil
}
