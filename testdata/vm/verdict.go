package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ouro-io/ouro/internal/vm"
	"github.com/ouro-io/ouro/internal/vm/plan"
)

// verdict is what is to be said about one kernel.
type verdict struct {
	version string
	kernel  vm.Kernel
	run     vm.Run
	err     error
	// faults are what went wrong, one line each.
	faults []string
	// features is how many rows of the feature table were held against this kernel.
	features int
	// tests counts passed and skipped tests by step.
	tests map[string]counts
}

type counts struct{ passed, skipped int }

func (v *verdict) unavailable() bool { return errors.Is(v.err, vm.ErrUnavailable) }
func (v *verdict) failed() bool      { return v.err != nil || len(v.faults) > 0 }

func (v *verdict) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// probed is the part of `ouro probe --json` that is looked at here.
type probed struct {
	Backend  struct{ Chosen, Reason, Error string }
	Kernel   struct{ Release string }
	IOUring  struct{ Available bool }
	Features []struct{ Name, State, FirstKernel, Detail string }
}

// trouble is what a kernel logs when it has hurt itself.
var trouble = regexp.MustCompile(`BUG:|WARNING:|Oops|general protection|soft lockup|hung_task|blocked for more than|refcount_t|Kernel panic`)

var (
	passedTest  = regexp.MustCompile(`(?m)^\s*--- PASS: `)
	skippedTest = regexp.MustCompile(`(?m)^\s*--- SKIP: `)
)

// judge looks at everything that the guest told.
func (v *verdict) judge() {
	v.tests = map[string]counts{}
	for _, s := range v.run.Steps {
		v.tests[s.Name] = counts{len(passedTest.FindAllString(s.Output, -1)), len(skippedTest.FindAllString(s.Output, -1))}
		switch {
		case s.Skipped != "":
		case !s.Passed():
			v.fault("%s: exit status %d %s", s.Name, s.Exit, s.Error)
		case s.Output == "" || strings.Contains(s.Output, "testing: warning: no tests to run"):
			v.fault("%s: nothing was run", s.Name)
		case s.Name == probeStep || strings.HasPrefix(s.Name, probeStep+"-"):
			v.judgeProbe(s)
		}
	}
	for _, n := range v.run.Notes {
		v.fault("guest: %s", n)
	}
	for line := range strings.Lines(v.run.KernelLog) {
		if trouble.MatchString(line) {
			v.fault("kernel log: %s", strings.TrimSpace(line))
		}
	}
}

// judgeProbe holds a probe against the feature table's "first kernel", or, where io_uring was taken away, looks at what
// was chosen instead and why.
func (v *verdict) judgeProbe(s plan.Result) {
	var p probed
	if err := json.Unmarshal([]byte(s.Output), &p); err != nil {
		v.fault("%s: %v", s.Name, err)
		return
	}
	if p.Kernel.Release != v.kernel.Release || v.run.Release != v.kernel.Release {
		v.fault("%s: the guest runs %s, not %s", s.Name, p.Kernel.Release, v.kernel.Release)
	}
	if s.Name != probeStep {
		if p.IOUring.Available || p.Backend.Chosen != "epoll" || p.Backend.Reason == "" {
			v.fault("%s: io_uring available: %v; chosen %q because %q", s.Name, p.IOUring.Available, p.Backend.Chosen, p.Backend.Reason)
		}
		if how := strings.TrimPrefix(s.Name, probeStep+"-"); !strings.Contains(p.Backend.Reason, how) {
			v.fault("%s: the reason does not name it: %q", s.Name, p.Backend.Reason)
		}
		return
	}
	want := "io_uring"
	if older(v.version, "6.1") {
		want = "epoll"
	}
	if !p.IOUring.Available || p.Backend.Chosen != want {
		v.fault("%s: io_uring available: %v; %s was chosen, not %s: %s %s", s.Name, p.IOUring.Available, p.Backend.Chosen, want,
			p.Backend.Reason, p.Backend.Error)
	}
	for _, f := range p.Features {
		due := !older(v.version, f.FirstKernel)
		// 5.10.162 and later have the io_uring of 5.15, as far as it lives in that subsystem.
		if v.version == "5.10" && !due && !older("5.15", f.FirstKernel) {
			continue
		}
		if f.State == "unknown" {
			fmt.Printf("linux %s: the probe of %s says nothing: %s\n", v.version, f.Name, f.Detail)
			continue
		}
		v.features++
		if yes := f.State == "yes"; yes != due {
			v.fault("%s: %s is %s on %s, the table says first in %s (%s)", s.Name, f.Name, f.State, v.version, f.FirstKernel, f.Detail)
		}
	}
	if len(p.Features) == 0 {
		v.fault("%s: no features", s.Name)
	}
}

// older reports whether kernel version a is before b.
func older(a, b string) bool {
	var am, an, bm, bn int
	_, err1 := fmt.Sscanf(a, "%d.%d", &am, &an)
	_, err2 := fmt.Sscanf(b, "%d.%d", &bm, &bn)
	if err1 != nil || err2 != nil {
		panic("not a version: " + a + " or " + b)
	}
	return am < bm || am == bm && an < bn
}

// print tells what happened; of failed steps everything.
func (v *verdict) print(o options) {
	if v.unavailable() {
		fmt.Printf("linux %s: SKIPPED: %v\n", v.version, v.err)
		return
	}
	for i, s := range v.run.Steps {
		if o.keep != "" {
			name := fmt.Sprintf("%s-%02d-%s.txt", v.version, i, s.Name)
			if err := os.MkdirAll(o.keep, 0o755); err == nil {
				err = os.WriteFile(filepath.Join(o.keep, name), []byte(s.Output), 0o644)
				if err != nil {
					fmt.Fprintln(os.Stderr, "vm:", err)
				}
			}
		}
		if o.verbose || s.Skipped == "" && !s.Passed() {
			fmt.Printf("--- linux %s %s\n%s\n", v.version, s.Name, s.Output)
		}
	}
	if v.err != nil {
		fmt.Printf("linux %s: FAILED: %v\n", v.version, v.err)
		return
	}
	for _, f := range v.faults {
		fmt.Printf("linux %s: FAULT: %s\n", v.version, f)
	}
	how := "hardware"
	if v.run.Emulated {
		how = "emulated"
	}
	passed, skipped := v.total()
	fmt.Printf("linux %s: %d steps, %d tests passed, %d skipped, %d features checked, %.0f s (%s)",
		v.version, len(v.run.Steps), passed, skipped, v.features, v.run.Seconds, how)
	if v.failed() {
		fmt.Printf(": FAILED, %d faults\n", len(v.faults))
		return
	}
	fmt.Println(": passed")
}

func (v *verdict) total() (passed, skipped int) {
	for _, c := range v.tests {
		passed += c.passed
		skipped += c.skipped
	}
	return passed, skipped
}

// markdown is the table for the documentation.
func markdown(all []verdict) string {
	var b strings.Builder
	b.WriteString("| Linux | package | result | steps | tests passed | skipped | features checked |\n|---|---|---|---|---|---|---|\n")
	for _, v := range all {
		result := "passed"
		switch {
		case v.unavailable():
			result = "not available"
		case v.failed():
			result = fmt.Sprintf("**%d faults**", max(1, len(v.faults)))
		}
		pkg := "—"
		if len(v.kernel.Packages) > 0 {
			pkg = v.kernel.Packages[0].Version
		}
		passed, skipped := v.total()
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %d |\n", v.version, pkg, result, len(v.run.Steps), passed, skipped, v.features)
	}
	return b.String()
}
