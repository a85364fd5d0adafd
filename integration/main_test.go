package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if r, w, err := os.Pipe(); err == nil { // has the runtime's poller open its own descriptors
		r.Close()
		w.Close()
	}
	before := openFiles()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(
			// Started by an imported package's init, for the life of the process.
			goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		); err != nil {
			fmt.Println(err)
			code = 1
		}
		for range 200 { // what closes a descriptor may be a moment behind who waited for it
			if openFiles() <= before {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := openFiles(); n > before {
			fmt.Printf("descriptors leaked: %d before, %d after\n", before, n)
			code = 1
		}
	}
	os.Exit(code)
}

// openFiles counts the open descriptors, without pipes: the standard library pools those that it splices through.
func openFiles() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	n := 0
	for _, f := range d {
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); !strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}
