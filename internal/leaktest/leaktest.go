package leaktest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end and descriptors to be closed: what closes one may be a moment behind who waited
// for it, and the kernel behind the close of a ring.
var patience = 30 * time.Second

// Main runs the tests and ends the process. Options say which goroutines may stay.
func Main(m *testing.M, options ...goleak.Option) { os.Exit(Run(m.Run, options...)) }

// Run calls run, which returns a status as testing.M.Run does. It returns that, or 1 where it is 0 and something was left,
// which is printed.
func Run(run func() int, options ...goleak.Option) int {
	warm()
	before := Files()
	if status := run(); status != 0 {
		return status
	}
	end := time.Now().Add(patience)
	err := goleak.Find(options...)
	for err != nil && time.Now().Before(end) {
		err = goleak.Find(options...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "goroutines left:", err)
		return 1
	}
	after := Files()
	for len(after) > len(before) && time.Now().Before(end) {
		time.Sleep(time.Millisecond)
		after = Files()
	}
	if len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "descriptors left: %d before, %d after: %s\n", len(before), len(after), strings.Join(after, ", "))
		return 1
	}
	return 0
}

// warm has the runtime's poller open its own descriptors, which it keeps.
func warm() {
	if r, w, err := os.Pipe(); err == nil {
		_ = r.SetReadDeadline(time.Now())
		_ = r.Close()
		_ = w.Close()
	}
}

// Sockets is how many of Files are sockets: what does not change when a worker parks, which opens a descriptor for that.
func Sockets() (n int) {
	for _, name := range Files() {
		if strings.HasPrefix(name, "socket:") {
			n++
		}
	}
	return n
}

// Files tells what the open descriptors are, those of pipes left out. Empty where there is no /proc.
func Files() (names []string) {
	const dir = "/proc/self/fd"
	open, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, f := range open {
		// The descriptor that reads the folder is closed by now.
		if to, err := os.Readlink(dir + "/" + f.Name()); err == nil && !strings.HasPrefix(to, "pipe:") {
			names = append(names, to)
		}
	}
	return names
}
