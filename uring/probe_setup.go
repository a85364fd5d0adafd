//go:build linux

package uring

import "syscall"

// companions are the flags that a flag cannot do without.
func companions(f SetupFlags) SetupFlags {
	if f&SetupDeferTaskrun != 0 {
		f |= SetupSingleIssuer
	}
	if f&SetupTaskrunFlag != 0 && f&SetupDeferTaskrun == 0 {
		f |= SetupCoopTaskrun
	}
	if f&SetupSQAff != 0 {
		f |= SetupSQPoll
	}
	if f&SetupHybridIOPoll != 0 {
		f |= SetupIOPoll
	}
	if f&SetupSQRewind != 0 {
		f |= SetupNoSQArray
	}
	return f
}

// trySetup sets a small ring up with the flags and their companions and closes it.
func trySetup(flags SetupFlags) (bool, error) {
	const memory = SetupNoMmap | SetupRegisteredFDOnly
	if flags&memory != 0 {
		return false, &Error{Op: "probe", Errno: syscall.ENOTSUP,
			Cause: (flags & memory).String() + " is not tried: this package maps its rings itself"}
	}
	flags = companions(flags)
	kp := kernelParams{flags: uint32(flags)}
	if flags&SetupCQSize != 0 {
		kp.cqEntries = 16
	}
	if flags&SetupAttachWQ != 0 {
		base := kernelParams{}
		fd, errno := sysSetup(4, &base)
		if errno != 0 {
			return false, setupError(errno, 0)
		}
		defer closeFD(fd)
		kp.wqFD = uint32(fd)
	}
	fd, errno := sysSetup(4, &kp)
	switch errno {
	case 0:
		closeFD(fd)
		return true, nil
	case syscall.EINVAL:
		return false, nil
	}
	return false, setupError(errno, flags)
}
