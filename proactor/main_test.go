//go:build linux

package proactor

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/internal/denytest"
)

func TestMain(m *testing.M) {
	before := openFiles("")
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	// What closes a descriptor may be a moment behind who waited for it. The Go runtime opens two for its poller.
	for range 200 {
		if openFiles("") <= before+2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := openFiles(""); n > before+2 && code == 0 {
		fmt.Printf("descriptors leaked: %d before, %d after\n", before, n)
		code = 1
	}
	os.Exit(code)
}

// openFiles counts the open descriptors whose name begins with kind, "socket:" for example.
func openFiles(kind string) int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	n := 0
	for _, f := range d {
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); strings.HasPrefix(to, kind) {
			n++
		}
	}
	return n
}

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
