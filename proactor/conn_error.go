//go:build linux

package proactor

import (
	"io"
	"os"
	"syscall"
)

// A socket reports an error such as ECONNRESET once, to whichever system call comes first; after that reads are at the
// end of the stream and writes fail with EPIPE. The blocking face does the same, although the receive that is always
// armed finds the error first, before anybody asks for it.

// readError is what a Read returns for rerr. mu is held.
func (c *Conn) readError() error {
	err := c.rerr()
	if _, ok := err.(*os.SyscallError); ok {
		c.setRerr(io.EOF)
	}
	return err
}

// tooLong reports whether werr is of one message only. mu is held.
func (c *Conn) tooLong() bool {
	failed, ok := c.werr().(*os.SyscallError)
	return ok && failed.Err == syscall.EMSGSIZE
}

// writeError is what a Write returns for werr. mu is held.
func (c *Conn) writeError() error {
	err := c.werr()
	failed, ok := err.(*os.SyscallError)
	if !ok {
		return err
	}
	if c.tooLong() {
		c.setWerr(nil) // of one message, on a socket that keeps their bounds: the next may go
		return err
	}
	broken := callError("write", syscall.EPIPE)
	c.setWerr(broken)
	unread, ok := c.rerr().(*os.SyscallError)
	if !ok || failed.Err != syscall.EPIPE {
		return err
	}
	// The receive took the error from the socket, and no Read has returned it.
	c.setRerr(io.EOF)
	errno, _ := unread.Err.(syscall.Errno)
	return callError("write", errno)
}
