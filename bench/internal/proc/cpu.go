package proc

import (
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime is the CPU time, user and system, that all threads of process pid have used since it began, those that
// have exited included. Its resolution is a nanosecond: the clock is the scheduler's (clock_getcpuclockid(3)).
func CPUTime(pid int) (time.Duration, error) {
	// The kernel's encoding of another process's clock: inverted pid, then CPUCLOCK_SCHED.
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &ts); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// CPUs lists the CPUs that this process may run on, in ascending order.
func CPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("reading the CPU affinity: %w", err)
	}
	var cpus []int
	for i := 0; len(cpus) < set.Count(); i++ {
		if set.IsSet(i) {
			cpus = append(cpus, i)
		}
	}
	return cpus, nil
}

// StartOn starts cmd bound to one CPU, or unbound when cpu < 0. The child is bound before its first instruction, so
// that a Go program in it sees one CPU and sets GOMAXPROCS to 1.
func StartOn(cpu int, cmd *exec.Cmd) error {
	if cpu < 0 {
		return cmd.Start()
	}
	// A child inherits the affinity of the thread that forks it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("reading the CPU affinity: %w", err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("binding to CPU %d: %w", cpu, err)
	}
	defer unix.SchedSetaffinity(0, &before) //nolint:errcheck // it was this thread's own mask
	return cmd.Start()
}

// RaiseFileLimit lifts the soft limit of open files to the hard one and returns it.
func RaiseFileLimit() (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("reading the limit of open files: %w", err)
	}
	r.Cur = r.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("raising the limit of open files: %w", err)
	}
	return r.Cur, nil
}
