// Command vm runs ouro's tests on other kernels: each is booted in qemu with static test binaries of the packages, with
// io_uring on and off, and what the probes say there is held against the feature table.
//
//	go run ./testdata/vm -kernel 6.1
//	go run ./testdata/vm -kernel all -markdown matrix.md
//
// It must be started inside the repository. The exit status is 0 when all passed, 1 when something failed and 3 when
// nothing failed but a kernel, or qemu, cannot be had here.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/internal/vm"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
)

type options struct {
	kernels  []string
	only     *regexp.Regexp
	cache    string
	markdown string
	limit    time.Duration
	verbose  bool
	cpus     int
	full     bool
	console  bool
	keep     string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(exitUsage)
	}
	os.Exit(run(ctx, o))
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("vm", flag.ContinueOnError)
	kernel := f.String("kernel", "6.1", "kernel versions, comma separated, or all: "+strings.Join(vm.Versions, ", "))
	only := f.String("run", "", "run only the steps whose name matches this regular expression")
	f.StringVar(&o.cache, "cache", "", "folder for kernels (default: ouro-vm in the user's cache folder)")
	f.StringVar(&o.markdown, "markdown", "", "write a table of the results to this file")
	f.StringVar(&o.keep, "keep", "", "keep the output of every step in this folder")
	f.DurationVar(&o.limit, "timeout", 30*time.Minute, "how long one kernel may take")
	f.IntVar(&o.cpus, "cpus", 0, "virtual CPUs (default 2)")
	f.BoolVar(&o.full, "full", false, "run all tests of each package, not only those that a kernel makes a difference to")
	f.BoolVar(&o.verbose, "v", false, "print the output of passed steps too")
	f.BoolVar(&o.console, "console", false, "print the guest's console")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	o.kernels = strings.Split(*kernel, ",")
	if *kernel == "all" {
		o.kernels = vm.Versions
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, err
	}
	if o.cache == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("%w: name a folder with -cache", err)
		}
		o.cache = filepath.Join(cache, "ouro-vm")
	}
	return o, nil
}

// run runs every kernel and returns the exit status.
func run(ctx context.Context, o options) int {
	root, err := repository()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		return exitUsage
	}
	work, err := os.MkdirTemp("", "ouro-matrix")
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		return exitFailed
	}
	defer os.RemoveAll(work)
	b := &builder{root: root, dir: work}
	var all []verdict
	code := 0
	for _, version := range o.kernels {
		v := check(ctx, o, b, version)
		all = append(all, v)
		v.print(o)
		switch {
		case v.unavailable() && code == 0:
			code = exitUnavailable
		case !v.unavailable() && v.failed():
			code = exitFailed
		}
	}
	if o.markdown != "" {
		if err := os.WriteFile(o.markdown, []byte(markdown(all)), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "vm:", err)
			return exitFailed
		}
	}
	return code
}

// check runs the suite on one kernel.
func check(ctx context.Context, o options, b *builder, version string) verdict {
	v := verdict{version: version}
	log := func(format string, args ...any) {
		fmt.Printf("linux %s: "+format+"\n", append([]any{version}, args...)...)
	}
	k, err := vm.Get(ctx, o.cache, version, log)
	if err != nil {
		v.err = err
		return v
	}
	v.kernel = k
	p, files, err := b.plan(ctx, k, o.only, o.full)
	if err != nil {
		v.err = err
		return v
	}
	log("booting %s: %d steps", k.Release, len(p.Steps))
	m := vm.Machine{Kernel: k, CPUs: o.cpus, Limit: o.limit, Line: func(s string) {
		if strings.HasPrefix(s, "end ") || strings.HasPrefix(s, "note ") {
			log("%s", s)
		}
	}}
	if o.console {
		m.Console = os.Stdout
	}
	v.run, v.err = m.Run(ctx, p, files)
	if v.err == nil {
		v.judge()
	}
	return v
}

// repository is the root of the module that this is run in.
func repository() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Dir}}", "github.com/ouro-io/ouro").Output()
	path, dir, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok || path != "github.com/ouro-io/ouro" {
		return "", fmt.Errorf("start this inside the repository of ouro: %w", cmp.Or(err, errors.New("it is not here")))
	}
	return dir, nil
}
