//go:build linux

package denytest

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seccomp(2): the filter's answer is an errno in the lower 16 bits.
const retErrno = 0x00050000

// Syscalls makes the given system calls fail with errno on every thread of the process from now on. At most 100.
func Syscalls(errno syscall.Errno, numbers ...uintptr) error {
	return deny(unix.SECCOMP_FILTER_FLAG_TSYNC, errno, numbers)
}

// Thread makes the given system calls fail with errno on the calling thread only. The goroutine must have called
// runtime.LockOSThread and must end without unlocking, so that the thread ends with it.
func Thread(errno syscall.Errno, numbers ...uintptr) error { return deny(0, errno, numbers) }

func deny(flags uintptr, errno syscall.Errno, numbers []uintptr) error {
	if len(numbers) == 0 || len(numbers) > 100 {
		return fmt.Errorf("denytest: %d system calls given; 1 to 100 fit", len(numbers))
	}
	return install(flags, program(errno, numbers))
}

// Only lets the calling process make the given system calls from now on, of 64-bit x86; others fail with errno. At most
// 1000. It is the other side of Syscalls: what a profile that lists what is permitted does.
func Only(errno syscall.Errno, numbers ...uintptr) error {
	if len(numbers) == 0 || len(numbers) > 1000 {
		return fmt.Errorf("denytest: %d system calls given; 1 to 1000 fit", len(numbers))
	}
	return install(unix.SECCOMP_FILTER_FLAG_TSYNC, permits(errno, numbers))
}

// install makes filter the thread's or, with TSYNC among the flags of seccomp(2), the process's.
func install(flags uintptr, filter []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}

	runtime.LockOSThread() // prctl is for the thread, seccomp then brings the others along
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("denytest: prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	// SAFETY: prog and the filter that it points to are alive until the call returns, and the kernel copies both.
	tid, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
		uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if e != 0 {
		return fmt.Errorf("denytest: seccomp: %w", e)
	}
	if tid != 0 {
		return fmt.Errorf("denytest: seccomp: thread %d has a filter of its own", tid)
	}
	return nil
}

// program is: load the number; for each denied one, jump to the errno if equal; allow; errno.
func program(errno syscall.Errno, numbers []uintptr) []unix.SockFilter {
	n := len(numbers)
	p := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for i, nr := range numbers {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(n - i), K: uint32(nr)})
	}
	return append(p,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(errno)&0xffff},
	)
}

// permits is: load the number; for each permitted one, allow if equal; errno.
func permits(errno syscall.Errno, numbers []uintptr) []unix.SockFilter {
	const archOffset = 4
	refuse := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(errno)&0xffff}
	p := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: archOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.AUDIT_ARCH_X86_64},
		refuse,
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
	}
	for _, nr := range numbers {
		p = append(p,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(nr)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		)
	}
	return append(p, refuse)
}
