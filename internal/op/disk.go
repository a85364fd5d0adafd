package op

import "syscall"

// Disk is the set of system calls on open files that package file makes without a backend's help, for a simulation to
// replace. Each is safe from any goroutine, and 0 means success.
type Disk interface {
	// Do is the system call that an operation of this kind stands for: Read, Write, Readv, Writev with p as in Op.Buf and
	// off as in Op.Off, or Fsync. With nowait it is made with RWF_NOWAIT: EAGAIN when it would have to wait.
	Do(kind Kind, fd int, p []byte, off int64, nowait bool) (int, syscall.Errno)
	// Seek is lseek(2).
	Seek(fd int, off int64, whence int) (int64, syscall.Errno)
	// Shut is close(2).
	Shut(fd int)
}
