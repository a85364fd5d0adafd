package buffers

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails the run when a goroutine, a descriptor or a mapping is left.
func TestMain(m *testing.M) {
	if os.Getenv(askDebug) == "" {
		// Many tests release twice on purpose; those of debug mode switch it on themselves.
		SetDebug(false)
	}
	// The runtime's poller opens two descriptors of its own at first use, which is now.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	fds := descriptors()
	code := m.Run()
	if n := descriptors(); code == 0 && n > fds {
		fmt.Fprintf(os.Stderr, "%d descriptors at the end, %d at the beginning\n", n, fds)
		code = 1
	}
	if n := mapped.Load(); code == 0 && n != 0 {
		fmt.Fprintf(os.Stderr, "%d bytes are still mapped: a group or pool was not closed, or not unmapped\n", n)
		code = 1
	}
	err := goleak.Find()
	for end := time.Now().Add(30 * time.Second); code == 0 && err != nil && time.Now().Before(end); {
		err = goleak.Find()
	}
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}
