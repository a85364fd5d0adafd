package protocol

import (
	"os"
	"syscall"
	"time"
)

// Usage is what this process has used so far.
type Usage struct {
	cpu, system time.Duration
	switches    int64
}

// Rusage reads it (getrusage(2)).
func Rusage() (Usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return Usage{}, os.NewSyscallError("getrusage", err)
	}
	sys := time.Duration(r.Stime.Nano())
	return Usage{cpu: time.Duration(r.Utime.Nano()) + sys, system: sys, switches: int64(r.Nvcsw) + int64(r.Nivcsw)}, nil
}

// Since sets what was used after before.
func (u Usage) Since(before Usage, r *Result) {
	r.ServerCPUNs = int64(u.cpu - before.cpu)
	r.ServerSystemNs = int64(u.system - before.system)
	r.ServerSwitches = u.switches - before.switches
}
