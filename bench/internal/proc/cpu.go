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

// Placement is how a process is to be scheduled.
type Placement struct {
	// CPU is the only one that it may run on; < 0 for any.
	CPU int
	// Batch keeps it from taking the CPU from another process by waking up (SCHED_BATCH, sched(7)).
	Batch bool
}

// Start starts cmd with placement p, which holds from its first instruction on: a Go program bound to one CPU sees one
// and sets GOMAXPROCS to 1.
func Start(p Placement, cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		// A child inherits what holds for the thread that forks it. This thread is never unlocked, so it ends with
		// the goroutine and nobody else gets it.
		runtime.LockOSThread()
		if err := p.apply(); err != nil {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}

// apply changes the calling thread.
func (p Placement) apply() error {
	if p.CPU >= 0 {
		var one unix.CPUSet
		one.Set(p.CPU)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return fmt.Errorf("binding to CPU %d: %w", p.CPU, err)
		}
	}
	if p.Batch {
		a, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			return fmt.Errorf("reading the scheduling policy: %w", err)
		}
		a.Policy = unix.SCHED_BATCH
		if err := unix.SchedSetAttr(0, a, 0); err != nil {
			return fmt.Errorf("setting the scheduling policy SCHED_BATCH: %w", err)
		}
	}
	return nil
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
