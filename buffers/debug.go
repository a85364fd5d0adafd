package buffers

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// debugging is debug mode's switch.
var debugging atomic.Bool

// poison is what debug mode fills released memory with.
const poison = 0xDB

func init() {
	debugging.Store(slices.Contains(strings.Split(os.Getenv("OURO_DEBUG"), ","), "buffers"))
}

// SetDebug switches debug mode, which the package comment describes, for the whole process, and returns what it was.
// It may be switched at any time: leases taken before it came on are released as usual and have no history. Any
// goroutine.
func SetDebug(on bool) bool { return debugging.Swap(on) }

// trace tells where a lease was taken and, once it is, where it was released.
type trace struct {
	gen             uint64
	taken, released stack
}

// traces holds the last lease of each record that had one in debug mode. A record is here from its first lease in
// debug mode until its memory is unmapped; wrapped ones leave at their release, except that the last keptWraps stay for
// the report of a double release.
var traces struct {
	sync.Mutex
	of    map[*record]*trace
	wraps []*record
}

const keptWraps = 64

// traceTaken notes the caller as the one who took r's lease. Who calls owns the lease.
func traceTaken(r *record) {
	t := &trace{gen: r.gen.Load(), taken: callers()}
	r.traced = true
	traces.Lock()
	defer traces.Unlock()
	if traces.of == nil {
		traces.of = map[*record]*trace{}
	}
	traces.of[r] = t
}

// traceReleased notes the caller as the one who released r, and overwrites the memory. Who calls owns r.
func traceReleased(r *record) {
	if debugging.Load() && r.home.owned() {
		for i := range r.mem {
			r.mem[i] = poison
		}
	}
	if !r.traced {
		return
	}
	r.traced = false
	at := callers()
	traces.Lock()
	defer traces.Unlock()
	if t := traces.of[r]; t != nil {
		t.released = at
	}
	if !r.home.owned() {
		traces.wraps = append(traces.wraps, r)
		if len(traces.wraps) > keptWraps {
			delete(traces.of, traces.wraps[0])
			traces.wraps = append(traces.wraps[:0], traces.wraps[1:]...)
		}
	}
}

// forget drops the traces of records whose memory is gone.
func forget(rs []record) {
	traces.Lock()
	defer traces.Unlock()
	if len(traces.of) == 0 {
		return
	}
	for i := range rs {
		delete(traces.of, &rs[i])
	}
}

// history tells where l was taken and released, as far as debug mode saw it.
func (l Lease) history() string {
	traces.Lock()
	defer traces.Unlock()
	t := traces.of[l.r]
	switch {
	case t == nil || t.gen < l.gen:
		return "; its history is unknown: debug mode came on later"
	case t.gen > l.gen:
		return "; the buffer was lent again since, and that lease was taken at\n" + t.taken.String()
	default:
		return "; it was taken at\n" + t.taken.String() + "and released first at\n" + t.released.String() +
			"and now at\n" + callers().String()
	}
}

// Leak is a lease that is held.
type Leak struct {
	// Kind is group, pool or wrap.
	Kind string
	// Bytes is the size of the whole buffer.
	Bytes int
	// Stack tells where the lease was taken: a line for each function, innermost first.
	Stack string
}

func (l Leak) String() string {
	return fmt.Sprintf("%s lease of %d bytes taken at\n%s", l.Kind, l.Bytes, l.Stack)
}

// Leaks lists the leases that were taken in debug mode and not released yet, in no particular order. Any goroutine.
func Leaks() []Leak {
	traces.Lock()
	defer traces.Unlock()
	var out []Leak
	for r, t := range traces.of {
		if t.released == nil {
			out = append(out, Leak{Kind: r.home.kind(), Bytes: len(r.mem), Stack: t.taken.String()})
		}
	}
	return out
}

// stack is a call stack as runtime.Callers gives it.
type stack []uintptr

const stackDepth = 32

// callers returns the stack of whoever called into the functions of debug mode.
func callers() stack {
	var pc [stackDepth]uintptr
	return slices.Clone(pc[:runtime.Callers(3, pc[:])])
}

func (s stack) String() string {
	if len(s) == 0 {
		return "\t(unknown)\n"
	}
	var b strings.Builder
	frames := runtime.CallersFrames(s)
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "\t%s %s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}
