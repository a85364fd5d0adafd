// Package plan is what the host and the guest of a virtual machine agree on: what to run, and what came of it.
//
// Plain data, safe to copy. It belongs to internal/vm and is apart from it so that the guest's first process stays small.
package plan

import "time"

// Where things lie in the guest.
const (
	// File is the plan in the initramfs.
	File = "/plan.json"
	// OutDir is where steps leave files that the host is to have.
	OutDir = "/out"
	// Disk is what the results are written to, as a tar archive without a file system around it.
	Disk = "/dev/nvme0n1"
)

// Names in the archive of results. Files from OutDir keep their names below "out/".
const (
	ResultsName = "results.json"
	KernelLog   = "dmesg.txt"
)

// Marker begins each line of the console that is meant for the host.
const Marker = "@ouro "

// First and Last are what a guest's first process says when it begins and when the results are on the disk.
const (
	First = "hello"
	Last  = "bye"
)

// Plan is what a guest does, in this order.
type Plan struct {
	// Modules are loaded first, by their path in the guest. One that cannot be loaded is noted and no more.
	Modules []string
	// Steps run one after the other.
	Steps []Step
}

// Step is a process to run.
type Step struct {
	// Name is unique within the plan and fit for a file name.
	Name string
	// Command is the program, by its path, and its arguments.
	Command []string
	// Dir is the working directory, default "/".
	Dir string
	// Env is added to PATH, HOME and TMPDIR.
	Env []string
	// Deny is applied to the process before it begins; see denytest.Apply.
	Deny string
	// Sysctl is set for the time of the step. One that the kernel does not have skips the step.
	Sysctl map[string]string
	// Limit is how long the step may take, default 10 minutes; then it and its children are killed.
	Limit time.Duration
}

// Result is what became of a step.
type Result struct {
	Name string
	// Skipped says why it was not run.
	Skipped string `json:",omitempty"`
	// Exit is the exit status, -1 when it did not exit by itself or could not be started; Error says more.
	Exit    int
	Error   string `json:",omitempty"`
	Seconds float64
	// Output is what it wrote to standard output and standard error, the last MiB of it.
	Output string
}

// Passed reports whether the step ran and ended well.
func (r Result) Passed() bool { return r.Skipped == "" && r.Error == "" && r.Exit == 0 }

// Results is everything that the guest tells in ResultsName.
type Results struct {
	// Release and Version are the kernel's, from uname(2).
	Release, Version string
	// Notes are things that went wrong around the steps.
	Notes []string
	Steps []Result
}
