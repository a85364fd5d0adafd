package layers

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

// Layers, from the bottom up.
const (
	KernelIO    = "kernel: I/O"
	KernelSched = "kernel: waiting and waking"
	Scheduler   = "Go scheduler"
	Memory      = "runtime memory"
	Ouro        = "ouro"
	Library     = "other library"
	Standard    = "standard library"
	Handler     = "handler"
)

// All lists the layers.
var All = []string{KernelIO, KernelSched, Scheduler, Memory, Ouro, Library, Standard, Handler}

// OfFile reads a CPU profile and returns the share of each layer; they sum up to 1. A profile without samples gives
// none.
func OfFile(path string) (map[string]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("CPU profile: %w", err)
	}
	return Of(p), nil
}

// Of splits p.
func Of(p *profile.Profile) map[string]float64 {
	if len(p.SampleType) == 0 {
		return nil
	}
	value := len(p.SampleType) - 1 // samples/count, cpu/nanoseconds
	out := map[string]float64{}
	var sum float64
	for _, s := range p.Sample {
		l, ok := layerOf(names(s))
		if !ok {
			continue
		}
		v := float64(s.Value[value])
		out[l] += v
		sum += v
	}
	if sum == 0 {
		return nil
	}
	for l := range out {
		out[l] /= sum
	}
	return out
}

// names lists the functions of a sample, innermost first.
func names(s *profile.Sample) []string {
	var out []string
	for _, loc := range s.Location {
		for _, line := range loc.Line {
			if line.Function != nil {
				out = append(out, line.Function.Name)
			}
		}
	}
	return out
}

// layerOf is the layer of a stack, innermost function first. It reports false for what the profiler itself costs.
func layerOf(stack []string) (string, bool) {
	for _, f := range stack {
		if strings.Contains(f, "sigprof") || strings.Contains(f, "runtime/pprof.") || strings.Contains(f, "profileWriter") {
			return "", false
		}
	}
	if len(stack) == 0 {
		return "", false
	}
	if isSyscall(stack[0]) {
		if wakes(stack) {
			return KernelSched, true
		}
		return KernelIO, true
	}
	for _, f := range stack {
		if l := layerOfFunction(f); l != "" {
			return l, true
		}
	}
	return Scheduler, true
}

// isSyscall reports whether f enters the kernel.
func isSyscall(f string) bool {
	switch {
	case strings.HasPrefix(f, "internal/runtime/syscall"), strings.HasPrefix(f, "runtime/internal/syscall"),
		strings.HasPrefix(f, "syscall.rawSyscall"), strings.HasPrefix(f, "syscall.RawSyscall"),
		strings.HasPrefix(f, "syscall.Syscall"), strings.HasPrefix(f, "golang.org/x/sys/unix.") && strings.Contains(f, "yscall"):
		return true
	}
	switch f {
	case "runtime.futex", "runtime.usleep", "runtime.osyield", "runtime.epollwait", "runtime.write1", "runtime.read",
		"runtime.tgkill", "runtime.madvise", "runtime.sysMmap", "runtime.nanotime1", "runtime.clone":
		return f != "runtime.nanotime1"
	}
	return false
}

// wakes reports whether a system call was the runtime's own: to sleep, to wake a thread, or to look for events.
func wakes(stack []string) bool {
	for _, f := range stack {
		if isSyscall(f) && f != "runtime.futex" && f != "runtime.usleep" && f != "runtime.osyield" && f != "runtime.tgkill" {
			continue
		}
		return strings.HasPrefix(f, "runtime.") || strings.HasPrefix(f, "internal/runtime/")
	}
	return false
}

// layerOfFunction is "" for functions that say nothing, as a copy or a lock: then the caller decides.
func layerOfFunction(f string) string {
	const module = "github.com/ouro-io/ouro/"
	switch {
	case strings.HasPrefix(f, "runtime.") || strings.HasPrefix(f, "internal/runtime/"):
		return layerOfRuntime(f)
	case strings.HasPrefix(f, module+"bench/") || strings.HasPrefix(f, "main."):
		return Handler
	case strings.HasPrefix(f, module):
		return Ouro
	case strings.HasPrefix(f, "sync") || strings.HasPrefix(f, "internal/") || strings.HasPrefix(f, "iter."):
		return "" // whoever locks, or polls, decides
	case !strings.Contains(strings.SplitN(f, "/", 2)[0], "."), !strings.Contains(f, "/"):
		return Standard
	}
	return Library
}

var memoryWords = []string{"malloc", "gc", "scanobject", "scanblock", "sweep", "greyobject", "mspan", "mcache", "mcentral", "mheap",
	"newobject", "makeslice", "growslice", "heapBits", "wbBuf", "bulkBarrier", "stackalloc", "stackfree", "newstack", "copystack",
	"morestack", "memclr", "newproc", "nextFree", "markroot", "findObject", "wbMove", "typedmemmove", "duffzero"}

var schedulerWords = []string{"schedule", "findRunnable", "park", "goready", "ready", "netpoll", "mcall", "gosched", "Gosched", "goexit0",
	"execute", "stealWork", "runq", "wakep", "startm", "stopm", "notesleep", "notewakeup", "lock2", "unlock2", "casgstatus", "systemstack",
	"checkTimers", "timer", "exitsyscall", "entersyscall", "reentersyscall", "handoffp", "retake", "sysmon", "coroswitch", "chan",
	"selectgo", "sema", "mstart", "gogo", "gdestroy", "pidle", "injectglist", "resetspinning", "acquirep", "releasep", "dropg"}

// layerOfRuntime tells memory from scheduling by the function's name; "" leaves it to the caller.
func layerOfRuntime(f string) string {
	name := f[strings.LastIndexByte(f, '.')+1:]
	for _, w := range memoryWords {
		if strings.Contains(name, w) {
			return Memory
		}
	}
	for _, w := range schedulerWords {
		if strings.Contains(f, w) {
			return Scheduler
		}
	}
	return ""
}
