//go:build linux

package proactor

import "golang.org/x/sys/unix"

const (
	sysSendto     = unix.SYS_SENDTO
	sysRecvfrom   = unix.SYS_RECVFROM
	sysGetsockopt = unix.SYS_GETSOCKOPT
)
