//go:build linux

package net

import (
	"errors"
	stdnet "net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/proactor"
)

// In runtime mode writes are the standard library's. On the engine the same checks come from it as well: std is closed
// by then, and what it says of wrong arguments it says before it looks at that.

// Write sends a datagram to the address that the socket is connected to.
func (c *UDPConn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	for {
		if pc := c.onEngine(); pc != nil {
			n, err := writeOne(pc, b, nil, nil)
			if err != nil {
				err = c.opError("write", nil, named("write", err))
			}
			return n, err
		}
		var n int
		var err error
		if onCoroutine() {
			n, err = awaited(func() (int, error) { return c.std.Write(b) })
		} else {
			n, err = c.std.Write(b)
		}
		if err == nil || !c.thrownOut(err) {
			return n, err
		}
	}
}

// writeBuffers is Buffers.WriteTo to the address that the socket is connected to, as one datagram.
func (c *UDPConn) writeBuffers(v *Buffers) (n int64, err error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	for {
		var m int64
		if pc := c.onEngine(); pc != nil {
			m, err = v.sendGrams(func(slices [][]byte) error { return writeSlices(pc, slices) })
			if err != nil {
				err = c.opError("writev", nil, named("writev", err))
			}
			return n + m, err
		}
		await(func() { m, err = (*stdnet.Buffers)(v).WriteTo(c.std) })
		n += m
		if err == nil || !c.thrownOut(err) {
			return n, err
		}
	}
}

// awaited runs f, which may block, on a goroutine of its own: for a coroutine on a socket that cannot move. It is a
// function so that only who comes here pays for the closure.
func awaited[T any](f func() (T, error)) (v T, err error) {
	await(func() { v, err = f() })
	return v, err
}

// WriteTo sends a datagram to addr, a *UDPAddr.
func (c *UDPConn) WriteTo(b []byte, addr Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	a, ok := addr.(*UDPAddr)
	if !ok {
		return c.std.WriteTo(b, addr) // its error
	}
	return c.WriteToUDP(b, a)
}

// WriteToUDP is WriteTo with the address's own type.
func (c *UDPConn) WriteToUDP(b []byte, addr *UDPAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	for {
		if pc := c.onEngine(); pc != nil {
			if addr == nil || c.connected() {
				return c.std.WriteToUDP(b, addr)
			}
			n, err := c.writeName(pc, "sendto", b, nil, addrPortOf(addr))
			if err != nil {
				if err == errName {
					return c.std.WriteToUDP(b, addr)
				}
				err = c.opError("write", addr, err)
			}
			return n, err
		}
		var n int
		var err error
		if onCoroutine() {
			n, err = awaited(func() (int, error) { return c.std.WriteToUDP(b, addr) })
		} else {
			n, err = c.std.WriteToUDP(b, addr)
		}
		if err == nil || !c.thrownOut(err) {
			return n, err
		}
	}
}

// WriteToUDPAddrPort is WriteToUDP without an allocation for the address.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	for {
		if pc := c.onEngine(); pc != nil {
			if !addr.IsValid() || c.connected() {
				return c.std.WriteToUDPAddrPort(b, addr)
			}
			n, err := c.writeName(pc, "sendto", b, nil, addr)
			if err != nil {
				if err == errName {
					return c.std.WriteToUDPAddrPort(b, addr)
				}
				_, said := c.std.WriteToUDPAddrPort(nil, addr) // closed: sends nothing
				err = c.writeError(addrIn(said), err)
			}
			return n, err
		}
		var n int
		var err error
		if onCoroutine() {
			n, err = awaited(func() (int, error) { return c.std.WriteToUDPAddrPort(b, addr) })
		} else {
			n, err = c.std.WriteToUDPAddrPort(b, addr)
		}
		if err == nil || !c.thrownOut(err) {
			return n, err
		}
	}
}

// WriteMsgUDP sends a datagram with control messages, to addr, or where the socket is connected if that is nil.
func (c *UDPConn) WriteMsgUDP(b, oob []byte, addr *UDPAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	for {
		if pc := c.onEngine(); pc != nil {
			if (addr == nil) != c.connected() {
				return c.std.WriteMsgUDP(b, oob, addr)
			}
			n, err := c.writeName(pc, "sendmsg", b, oob, addrPortOf(addr))
			if err != nil {
				if err == errName {
					return c.std.WriteMsgUDP(b, oob, addr)
				}
				return 0, 0, c.writeError(addrOrNil(addr), err)
			}
			return n, len(oob), nil
		}
		if onCoroutine() {
			n, err = awaited(func() (int, error) {
				n, _, err := c.std.WriteMsgUDP(b, oob, addr)
				return n, err
			})
			n, oobn, err = written(n, len(oob), err)
		} else {
			n, oobn, err = c.std.WriteMsgUDP(b, oob, addr)
		}
		if err == nil || !c.thrownOut(err) {
			return n, oobn, err
		}
	}
}

// WriteMsgUDPAddrPort is WriteMsgUDP without an allocation for the address.
func (c *UDPConn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	for {
		if pc := c.onEngine(); pc != nil {
			if addr.IsValid() == c.connected() {
				return c.std.WriteMsgUDPAddrPort(b, oob, addr)
			}
			n, err := c.writeName(pc, "sendmsg", b, oob, addr)
			if err != nil {
				if err == errName {
					return c.std.WriteMsgUDPAddrPort(b, oob, addr)
				}
				_, _, said := c.std.WriteMsgUDPAddrPort(nil, nil, addr)
				return 0, 0, c.writeError(addrIn(said), err)
			}
			return n, len(oob), nil
		}
		if onCoroutine() {
			n, err = awaited(func() (int, error) {
				n, _, err := c.std.WriteMsgUDPAddrPort(b, oob, addr)
				return n, err
			})
			n, oobn, err = written(n, len(oob), err)
		} else {
			n, oobn, err = c.std.WriteMsgUDPAddrPort(b, oob, addr)
		}
		if err == nil || !c.thrownOut(err) {
			return n, oobn, err
		}
	}
}

// written is what a WriteMsg returns: control messages go with the datagram or not at all.
func written(n, oobn int, err error) (int, int, error) {
	if err != nil {
		return n, 0, err
	}
	return n, oobn, nil
}

// addrIn is the address that the standard library names in an error, of a type of its own for an AddrPort.
func addrIn(err error) Addr {
	var e *OpError
	if errors.As(err, &e) {
		return e.Addr
	}
	return nil
}

func addrOrNil(a *UDPAddr) Addr {
	if a == nil {
		return nil
	}
	return a
}

// addrPortOf converts a. Unlike UDPAddr.AddrPort it knows that no IP means this host; nil is no address.
func addrPortOf(a *UDPAddr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	ip, _ := netip.AddrFromSlice(a.IP)
	if len(a.IP) == 0 {
		ip = netip.IPv6Unspecified()
	}
	return netip.AddrPortFrom(ip.WithZone(a.Zone), uint16(a.Port))
}

// errName says that an address cannot be had in the socket's family. It never reaches a user.
var errName = errors.New("no such address in the family")

// putName writes ap as the socket's family has it to b, which has dgram.NameBytes, and returns its length, 0 when that
// cannot be.
func (c *UDPConn) putName(b []byte, ap netip.AddrPort) int {
	inet6 := c.isInet6()
	if !inet6 && ap.Addr() == netip.IPv6Unspecified() {
		ap = netip.AddrPortFrom(netip.IPv4Unspecified(), ap.Port())
	}
	zone := uint32(0)
	if z := ap.Addr().Zone(); z != "" && inet6 {
		if ifi, err := stdnet.InterfaceByName(z); err == nil {
			zone = uint32(ifi.Index)
		} else if n, err := strconv.ParseUint(z, 10, 32); err == nil {
			zone = uint32(n)
		}
	}
	return dgram.PutName(b, ap, zone, inet6)
}

// writeCall is a message to send, with room for what goes with it.
type writeCall struct {
	msgs [1]dgram.Msg
	iov  unix.Iovec
	name [dgram.NameBytes]byte
}

var writeCalls = sync.Pool{New: func() any { return new(writeCall) }}

// writeName sends b on the engine to ap, or where the socket is connected if that is invalid.
func (c *UDPConn) writeName(pc *proactor.PacketConn, call string, b, oob []byte, ap netip.AddrPort) (int, error) {
	var name [dgram.NameBytes]byte
	n := 0
	if ap.IsValid() {
		if n = c.putName(name[:], ap); n == 0 {
			return 0, errName
		}
	}
	n, err := writeOne(pc, b, oob, name[:n])
	return n, named(call, err)
}

func writeOne(pc *proactor.PacketConn, b, oob, name []byte) (int, error) {
	w := writeCalls.Get().(*writeCall)
	h := &w.msgs[0].Hdr
	h.Iov = &w.iov
	h.SetIovlen(1)
	if len(b) > 0 {
		w.iov.Base = &b[0]
		w.iov.SetLen(len(b))
	}
	if n := copy(w.name[:], name); n > 0 {
		h.Name, h.Namelen = &w.name[0], uint32(n)
	}
	if len(oob) > 0 {
		h.Control = &oob[0]
		h.SetControllen(len(oob))
	}
	_, err := pc.WriteMsgs(w.msgs[:])
	n := int(w.msgs[0].N)
	w.msgs[0], w.iov = dgram.Msg{}, unix.Iovec{}
	writeCalls.Put(w)
	return n, err
}

// writeSlices sends one datagram where the socket is connected, or none if there are no slices.
func writeSlices(pc *proactor.PacketConn, slices [][]byte) error {
	if len(slices) == 0 {
		_, err := pc.WriteMsgs(nil)
		return err
	}
	iovs := make([]unix.Iovec, len(slices))
	for i, b := range slices {
		iovs[i].Base = &b[0]
		iovs[i].SetLen(len(b))
	}
	msgs := make([]dgram.Msg, 1)
	msgs[0].Hdr.Iov = &iovs[0]
	msgs[0].Hdr.SetIovlen(len(iovs))
	_, err := pc.WriteMsgs(msgs)
	return err
}
