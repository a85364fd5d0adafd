// Ecosystem runs the test suites of well-known modules twice, on package net of the standard library and with their "net"
// imports changed to ours, and tells which tests pass on the one and fail on the other:
//
//	go run ./ecosystem                 every module of modules.go
//	go run ./ecosystem net net/http    the standard library's own tests, moved out of their packages
//	go run ./ecosystem -procs 1 redcon dns   those whose path holds a word given, at GOMAXPROCS=1
//
// At GOMAXPROCS=1 the connections of ordinary goroutines move to the engine (with io_uring) once they have been read from a
// few times; otherwise most stay with the runtime's poller. The modules come from the module proxy and are changed in scratch
// copies; nothing of theirs is kept.
// It ends with status 1 when a test passes on std and not on ours.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// options are the command line's.
type options struct {
	procs   int
	timeout time.Duration
	keep    bool
	verbose bool
	root    string
}

func main() {
	var o options
	flag.IntVar(&o.procs, "procs", 0, "GOMAXPROCS of the tests; 0 leaves it")
	flag.DurationVar(&o.timeout, "timeout", 4*time.Minute, "limit of one run of one module's tests")
	flag.BoolVar(&o.keep, "keep", false, "keep the scratch copies, and say where they are")
	flag.BoolVar(&o.verbose, "v", false, "print what the tests that differ have printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if o.root, err = repository(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ecosystem:", err)
		os.Exit(2)
	}
	if !runAll(ctx, o, chosen(flag.Args())) {
		os.Exit(1)
	}
}

// chosen returns the modules whose path is one of the words or holds one that is no path; all without words.
func chosen(words []string) (out []module) {
	for _, m := range modules {
		ok := len(words) == 0
		for _, w := range words {
			ok = ok || m.path == w || strings.Contains(m.path, w) && !slices.ContainsFunc(modules, func(m module) bool { return m.path == w })
		}
		if ok {
			out = append(out, m)
		}
	}
	return out
}

// runAll prints a line per module; it reports whether no test is worse on ours.
func runAll(ctx context.Context, o options, ms []module) bool {
	good := true
	fmt.Printf("%-36s %-9s %8s %8s  %s\n", "module", "version", "std", "ours", "")
	for _, m := range ms {
		if ctx.Err() != nil {
			return false
		}
		r := compare(ctx, o, m)
		fmt.Printf("%-36s %-9s %8d %8d  %s\n", m.path, m.version, r.std, r.ours, r.verdict())
		if o.verbose {
			fmt.Print(r.output)
		}
		good = good && r.good()
	}
	return good
}

// report is the outcome of one module.
type report struct {
	std, ours int // tests passed
	files     int // whose import was changed
	worse     []string
	output    string
	err       error
}

func (r report) good() bool { return r.err == nil && len(r.worse) == 0 }

func (r report) verdict() string {
	switch {
	case r.err != nil:
		return "not run: " + r.err.Error()
	case len(r.worse) > 0:
		return fmt.Sprintf("WORSE: %s", strings.Join(r.worse, ", "))
	}
	return fmt.Sprintf("as on std, %d files changed", r.files)
}
