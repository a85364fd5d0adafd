//go:build linux

package net

import (
	"syscall"

	"github.com/ouro-io/ouro/buffers"
)

// SetZeroCopy has WriteLease send leases of at least min bytes, and WriteLeases leases of that many together, without copying
// them, where that can be done: on io_uring, and if the connection can be on the engine, where it is moved to. 0, the default,
// never. The bytes of such a lease stay in use until the peer has acknowledged them, and must not be changed; then the lease is
// released (buffers.WrapFunc tells of it). What Write and Buffers send is copied always: it is the caller's again at the
// return. It pays from some 16 KiB on with a real network card, and never over loopback, where the kernel copies in any case
// (proactor.Stats.ZeroCopyCopied tells). Connections that were accepted with Multipath TCP, the default of listeners, cannot
// do it: ListenConfig.SetMultipathTCP(false).
func (c *TCPConn) SetZeroCopy(min int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if err := c.toEngine(); err == errPinned {
		return nil // it has to stay with the standard library, which copies
	} else if err != nil {
		return c.ownError("set", err)
	}
	c.conn.Load().SetZeroCopy(min)
	return nil
}

// WriteLeases writes the bytes of ls, one after the other, as one Write: nothing of others comes in between. It releases all
// of them: at once, or, with SetZeroCopy, when the kernel has let go of the memory of the last. Errors are those of Buffers.
func (c *TCPConn) WriteLeases(ls ...buffers.Lease) error {
	if c.ok() && c.conn.Load() != nil {
		return c.opError("writev", c.conn.Load().WriteLeases(ls...))
	}
	var v Buffers
	for _, l := range ls {
		v = append(v, l.Bytes())
		defer l.Release()
	}
	_, err := c.writeBuffers(&v)
	return err
}
