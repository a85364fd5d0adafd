//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ouro-io/ouro/proactor"
)

// fewDescriptors is the RLIMIT_NOFILE below which a server is told of it: the usual default of a login shell.
const fewDescriptors = 4096

// advise says what to change, most important first. It looks only at r, so that it can be tested without the machine.
func advise(r Report) []string {
	advice := []string{}
	add := func(format string, args ...any) { advice = append(advice, fmt.Sprintf(format, args...)) }
	ring := r.Backend.Chosen == proactor.IOUring.String()
	switch {
	case ring:
	case r.Backend.Requested == proactor.Epoll.String():
		if r.IOUring.Available {
			add("io_uring works here: unset %s to use it", proactor.BackendEnv)
		}
	case !r.IOUring.Available:
		adviseBlocked(r, add)
	default:
		adviseTooLittle(r, add)
	}
	if r.Backend.Error != "" {
		switch r.Backend.Requested {
		case "uring", "io_uring":
			add("%s=auto takes epoll where io_uring does not work", proactor.BackendEnv)
		case "auto", "epoll":
		default:
			add("%[1]s=%[2]q is none of auto, uring and epoll: unset %[1]s, or set it to one of them", proactor.BackendEnv, r.Backend.Requested)
		}
	}
	if soft := r.Limits.Nofile.Soft; soft != nil && *soft < fewDescriptors {
		add("RLIMIT_NOFILE is %d and each connection takes a descriptor: raise it (ulimit -n; LimitNOFILE= of a systemd unit)", *soft)
	}
	return advice
}

// adviseBlocked is for a process that may not use io_uring at all.
func adviseBlocked(r Report, add func(string, ...any)) {
	if r.IOUring.Remedy != "" {
		add("%s", r.IOUring.Remedy)
	}
	switch {
	case r.IOUring.Errno == "EPERM" && r.Process.Seccomp == "filter" && strings.Contains(r.IOUring.Cause, "seccomp"):
		add("this process runs under a seccomp filter, as containers do by default: add the three calls to the profile's " +
			"allowed ones and start the container with that profile")
	case r.IOUring.Errno == "ENOMEM":
		adviseMemlock(r, add)
	}
}

// adviseTooLittle is for a process where a ring works, but not one of the kind and size that the engine wants.
func adviseTooLittle(r Report, add func(string, ...any)) {
	if strings.Contains(r.Backend.Reason+r.Backend.Error, "RLIMIT_MEMLOCK") {
		adviseMemlock(r, add)
		return
	}
	var missing []string
	for _, f := range r.Features {
		if f.State == "no" && (strings.Contains(f.Without, "epoll is used") || slices.Contains(needed, f.Name)) {
			missing = append(missing, fmt.Sprintf("%s (%s)", f.Name, f.FirstKernel))
		}
	}
	if len(missing) > 0 {
		add("use a newer kernel: this one lacks %s; the number is the first that has it", strings.Join(missing, ", "))
	}
}

// needed are the features that the ring backend asks for without an alternative.
var needed = []string{"setup.SUBMIT_ALL", "setup.COOP_TASKRUN", "setup.TASKRUN_FLAG", "register.PBUF_RING"}

func adviseMemlock(r Report, add func(string, ...any)) {
	limit := "unlimited"
	if soft := r.Limits.Memlock.Soft; soft != nil {
		limit = fmt.Sprintf("%d KiB", *soft>>10)
	}
	add("RLIMIT_MEMLOCK is %s: raise it to 8 MiB or more (ulimit -l 8192; LimitMEMLOCK= of a systemd unit), or use "+
		"fewer workers or smaller rings", limit)
}
