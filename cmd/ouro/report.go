//go:build linux

package main

// schemaVersion is raised when a field of Report is removed or changes its meaning; new fields do not raise it.
const schemaVersion = 1

// Report is what `ouro probe --json` prints. Every field is always there.
type Report struct {
	// Schema is schemaVersion.
	Schema  int     `json:"schema"`
	Backend Backend `json:"backend"`
	IOUring IOUring `json:"ioUring"`
	Kernel  Kernel  `json:"kernel"`
	Go      GoInfo  `json:"go"`
	Limits  Limits  `json:"limits"`
	Sysctl  Sysctl  `json:"sysctl"`
	Process Process `json:"process"`
	// Advice is what to change to get the better backend, or to get more out of it. Empty: nothing.
	Advice []string `json:"advice"`
	// Features are the rows of uring's feature table, in its order; empty with --brief.
	Features []Feature `json:"features"`
}

// Backend is the engine's own choice.
type Backend struct {
	// Requested is OURO_BACKEND, or auto.
	Requested string `json:"requested"`
	// Chosen is io_uring or epoll, empty after an error.
	Chosen string `json:"chosen"`
	// Reason says why it is not io_uring.
	Reason  string `json:"reason"`
	Workers int    `json:"workers"`
	// Error says why no engine starts.
	Error string `json:"error"`
}

// IOUring tells whether a ring can be set up, entered and registered with. The other fields are about the failure.
type IOUring struct {
	Available bool   `json:"available"`
	Call      string `json:"call"`
	Errno     string `json:"errno"`
	Cause     string `json:"cause"`
	Remedy    string `json:"remedy"`
	Error     string `json:"error"`
}

// Kernel is from uname(2).
type Kernel struct {
	Release string `json:"release"`
	Machine string `json:"machine"`
}

// GoInfo is what the Go runtime says of itself.
type GoInfo struct {
	Version  string `json:"version"`
	CPUs     int    `json:"cpus"`
	MaxProcs int    `json:"maxProcs"`
}

// Limits are resource limits, from getrlimit(2).
type Limits struct {
	// Memlock is RLIMIT_MEMLOCK in bytes: rings count against it on some kernels, registered buffers on all.
	Memlock Limit `json:"memlock"`
	// Nofile is RLIMIT_NOFILE.
	Nofile Limit `json:"nofile"`
}

// Limit is null where there is none.
type Limit struct {
	Soft *uint64 `json:"soft"`
	Hard *uint64 `json:"hard"`
}

// Sysctl has the kernel's switches for io_uring, null where it has none (before 6.6).
type Sysctl struct {
	// Disabled is kernel.io_uring_disabled: 0 everybody may use it, 1 CAP_SYS_ADMIN and Group only, 2 nobody.
	Disabled *int `json:"ioUringDisabled"`
	// Group is kernel.io_uring_group, -1 for none.
	Group *int `json:"ioUringGroup"`
	// Error says why nothing is known of them.
	Error string `json:"error"`
}

// Process is from proc_pid_status(5).
type Process struct {
	UID int `json:"uid"`
	// Seccomp is none, strict, filter or unknown.
	Seccomp string `json:"seccomp"`
	// SeccompFilters is how many filters there are, where the kernel tells (5.9), else 0.
	SeccompFilters int  `json:"seccompFilters"`
	NoNewPrivs     bool `json:"noNewPrivs"`
}

// Feature is a row of uring's feature table with the answer of its probe.
type Feature struct {
	Name string `json:"name"`
	// State is yes, no or unknown.
	State       string `json:"state"`
	How         string `json:"how"`
	FirstKernel string `json:"firstKernel"`
	// Without says what happens where it is missing.
	Without string `json:"without"`
	// Detail is what the kernel answered, where that is of interest.
	Detail string `json:"detail"`
}
