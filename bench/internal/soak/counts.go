package soak

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/ouro-io/ouro/bench/internal/proc"
)

// goroutineSlack is for those that the runtime and the poller start when they please.
const goroutineSlack = 4

// polledSlack is for the duplicates by which parked workers wait: one for each worker of the engine under test and of the
// process's own, which package file uses.
func polledSlack() int { return 2 * runtime.GOMAXPROCS(0) }

func (s *soak) count() (c Counts, err error) {
	files, polled, err := descriptors()
	if err != nil {
		return c, err
	}
	m, err := proc.MemoryOf(os.Getpid())
	if err != nil {
		return c, err
	}
	st := s.engine.Stats()
	c = Counts{Files: files, Polled: polled, Goroutines: goroutines(), Coroutines: st.Executor.Coroutines, Conns: st.Conns,
		InFlight: st.InFlight, RSSBytes: m.RSS}
	for _, g := range st.Buffers {
		c.Leases += g.Out
		c.DoubleReleases += g.DoubleReleases
	}
	s.mu.Lock()
	for _, n := range s.done {
		c.Operations += n
	}
	s.mu.Unlock()
	return c, nil
}

// descriptors counts the open ones, those of rings and epoll sets by themselves.
func descriptors() (files, polled int, err error) {
	const dir = "/proc/self/fd"
	open, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, f := range open {
		switch to, err := os.Readlink(dir + "/" + f.Name()); {
		case err != nil: // the one that reads the folder
		case to == "anon_inode:[io_uring]", to == "anon_inode:[eventpoll]":
			polled++
		default:
			files++
		}
	}
	return files, polled, nil
}

// goroutines counts those that are not coroutines' stacks, of which the executor keeps some for the next ones.
func goroutines() int {
	var p []runtime.StackRecord
	for {
		n, ok := runtime.GoroutineProfile(p)
		if ok {
			p = p[:n]
			break
		}
		p = make([]runtime.StackRecord, n+16)
	}
	sum := 0
	for _, r := range p {
		if !isStack(r.Stack()) {
			sum++
		}
	}
	return sum
}

func isStack(pcs []uintptr) bool {
	frames := runtime.CallersFrames(pcs)
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "iter.Pull") || strings.Contains(f.Function, "/executor.newStack") {
			return true
		}
		if !more {
			return false
		}
	}
}

// most is the larger of each.
func (c Counts) most(d Counts) Counts {
	return Counts{Files: max(c.Files, d.Files), Polled: max(c.Polled, d.Polled), Goroutines: max(c.Goroutines, d.Goroutines), Conns: max(c.Conns, d.Conns),
		Coroutines: max(c.Coroutines, d.Coroutines), InFlight: max(c.InFlight, d.InFlight), Leases: max(c.Leases, d.Leases), RSSBytes: max(c.RSSBytes, d.RSSBytes),
		Operations: d.Operations, DoubleReleases: d.DoubleReleases}
}

// beyond names what is more than it was, "" if nothing is.
func (c Counts) beyond(base Counts) string {
	for _, x := range []struct {
		what      string
		now, most int64
	}{
		{"descriptors", int64(c.Files), int64(base.Files)},
		{"rings and epoll sets", int64(c.Polled), int64(base.Polled + polledSlack())},
		{"goroutines", int64(c.Goroutines), int64(base.Goroutines + goroutineSlack)},
		{"coroutines", int64(c.Coroutines), int64(base.Coroutines)},
		{"connections", int64(c.Conns), int64(base.Conns)},
		{"operations in flight", int64(c.InFlight), int64(base.InFlight)},
		{"leases", int64(c.Leases), int64(base.Leases)},
		{"bytes of memory", c.RSSBytes, base.RSSBytes + base.RSSBytes/5 + rssSlack},
		{"double releases", int64(c.DoubleReleases), 0},
	} {
		if x.now > x.most {
			return fmt.Sprintf("%d %s, at most %d expected", x.now, x.what, x.most)
		}
	}
	return ""
}

func (c Counts) String() string {
	return fmt.Sprintf("%d operations done; %d descriptors, %d rings and epoll sets, %d goroutines, %d coroutines, %d connections and listeners, %d in flight, %d leases, %.1f MiB",
		c.Operations, c.Files, c.Polled, c.Goroutines, c.Coroutines, c.Conns, c.InFlight, c.Leases, float64(c.RSSBytes)/(1<<20))
}
