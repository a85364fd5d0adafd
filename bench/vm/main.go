// Command vm runs the benchmark suite on another kernel: it boots a Debian kernel in qemu with the suite and every
// contestant as static programs, and brings the results back.
//
//	go run ./bench/vm -kernel 6.12
//	go run ./bench/vm -kernel 6.1,7.3 -out results -- quick --contestants std,ouro-serve
//
// What follows -- is the suite's command line (see go run ./bench --help). Without hardware virtualisation the machine is
// emulated: that shows that the suite works on the kernel, its figures mean nothing, and the report says so.
//
// It needs qemu-system-x86_64 and what package vm needs for kernels, and must be started inside the repository. The exit
// status is 3 when these cannot be had.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/internal/vm"
	"github.com/ouro-io/ouro/internal/vm/plan"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
)

type options struct {
	kernels      []string
	out, cache   string
	cpus, memory int
	limit        time.Duration
	suite        []string
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
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		if errors.Is(err, vm.ErrUnavailable) {
			os.Exit(exitUnavailable)
		}
		os.Exit(exitFailed)
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("vm", flag.ContinueOnError)
	kernel := f.String("kernel", "6.12", "kernel versions, comma separated: "+strings.Join(vm.Versions, ", ")+" and others that Debian has")
	f.StringVar(&o.out, "out", "vm-results", "folder for the results")
	f.StringVar(&o.cache, "cache", "", "folder for kernels (default: ouro-vm in the user's cache folder)")
	f.IntVar(&o.cpus, "cpus", 2, "virtual CPUs")
	f.IntVar(&o.memory, "memory", 2048, "MiB of memory")
	f.DurationVar(&o.limit, "timeout", 2*time.Hour, "how long a machine may run")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.kernels = strings.Split(*kernel, ",")
	o.suite = f.Args()
	if len(o.suite) == 0 && !vm.Hardware() {
		o.suite = []string{"--rounds", "1", "--time", "30s"} // as much as an emulated figure is worth
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

func run(ctx context.Context, o options) error {
	if _, err := exec.LookPath(vm.Program); err != nil {
		return fmt.Errorf("install qemu (Debian: qemu-system-x86): %w: %w", err, vm.ErrUnavailable)
	}
	dir, err := os.MkdirTemp("", "ouro-bench-vm")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, err := programs(ctx, dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, version := range o.kernels {
		if err := measure(ctx, o, version, files); err != nil {
			errs = append(errs, fmt.Errorf("linux %s: %w", version, err))
		}
	}
	return errors.Join(errs...)
}

// programs compiles the suite, the contestants and the guest's first process, and says where each goes.
func programs(ctx context.Context, dir string) ([]vm.File, error) {
	init, err := vm.Build(ctx, ".", dir, vm.GuestPackage, "init", false)
	if err != nil {
		return nil, err
	}
	suite, err := vm.Build(ctx, ".", dir, "github.com/ouro-io/ouro/bench", "bench", false)
	if err != nil {
		return nil, err
	}
	contestants := filepath.Join(dir, "programs")
	c := exec.CommandContext(ctx, suite, "build", "--out", contestants)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("build the contestants: %w", err)
	}
	files := []vm.File{{Path: "/init", From: init, Mode: 0o755}, {Path: "/bin/bench", From: suite, Mode: 0o755}}
	built, err := os.ReadDir(contestants)
	for _, p := range built {
		if p.Type().IsRegular() {
			files = append(files, vm.File{Path: "/programs/" + p.Name(), From: filepath.Join(contestants, p.Name()), Mode: 0o755})
		}
	}
	return files, err
}

// measure runs the suite on one kernel and writes its results to the folder, named for the kernel.
func measure(ctx context.Context, o options, version string, files []vm.File) error {
	log := func(format string, args ...any) {
		fmt.Printf("linux %s: "+format+"\n", append([]any{version}, args...)...)
	}
	k, err := vm.Get(ctx, o.cache, version, log)
	if err != nil {
		return err
	}
	command := append([]string{"/bin/bench"}, o.suite...)
	command = append(command, "--programs", "/programs", "--scratch", "/tmp",
		"--json", plan.OutDir+"/bench.json", "--html", plan.OutDir+"/bench.html")
	how := "with hardware virtualisation"
	if !vm.Hardware() {
		command = append(command, "--emulated")
		how = "emulated: the figures will mean nothing"
	}
	log("booting %s, %s", k.Release, how)
	m := vm.Machine{Kernel: k, CPUs: o.cpus, MemoryMiB: o.memory, Limit: o.limit}
	r, err := m.Run(ctx, plan.Plan{Steps: []plan.Step{{Name: "bench", Command: command, Limit: o.limit}}}, files)
	if err != nil {
		return err
	}
	var errs []error
	for name, b := range r.Files {
		path := filepath.Join(o.out, version+"-"+name)
		errs = append(errs, os.WriteFile(path, b, 0o644))
		log("wrote %s", path)
	}
	for _, s := range r.Steps {
		fmt.Println(s.Output)
		if !s.Passed() {
			errs = append(errs, fmt.Errorf("the suite ended with status %d %s", s.Exit, s.Error))
		}
	}
	if len(r.Files["bench.json"]) == 0 {
		errs = append(errs, errors.New("the suite has left no results"))
	}
	return errors.Join(errs...)
}
