//go:build linux

package faults

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// The few messages of rtnetlink(7) that a test network needs, so that the tests run where there is no ip(8) or tc(8).

// message is a netlink message that is being put together.
type message struct{ b []byte }

func newMessage(kind, flags uint16, body []byte) *message {
	m := &message{make([]byte, 16)}
	binary.NativeEndian.PutUint16(m.b[4:], kind)
	binary.NativeEndian.PutUint16(m.b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	m.b = append(m.b, body...)
	return m
}

// attr adds an attribute.
func (m *message) attr(kind uint16, value []byte) *message {
	n := 4 + len(value)
	m.b = binary.NativeEndian.AppendUint16(m.b, uint16(n))
	m.b = binary.NativeEndian.AppendUint16(m.b, kind)
	m.b = append(append(m.b, value...), make([]byte, (4-n%4)%4)...)
	return m
}

// nest adds an attribute that consists of attributes.
func (m *message) nest(kind uint16, fill func()) *message {
	at := len(m.b)
	m.attr(kind, nil)
	fill()
	binary.NativeEndian.PutUint16(m.b[at:], uint16(len(m.b)-at))
	return m
}

// send sends m and returns the kernel's answer.
func (m *message) send() error {
	binary.NativeEndian.PutUint32(m.b, uint32(len(m.b)))
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, m.b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < 20 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("netlink answered %d bytes that are no acknowledgement", n)
	}
	if code := int32(binary.NativeEndian.Uint32(answer[16:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// link is struct ifinfomsg.
func link(index int, flags uint32) []byte {
	b := make([]byte, 16)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags)
	return b
}

func cstring(s string) []byte { return append([]byte(s), 0) }

func u32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// addVeth makes a pair of devices: name here and peer in the namespace of the process pid.
func addVeth(name, peer string, pid int) error {
	const infoPeer = 1 // VETH_INFO_PEER
	m := newMessage(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, link(0, 0))
	m.attr(unix.IFLA_IFNAME, cstring(name))
	m.nest(unix.IFLA_LINKINFO, func() {
		m.attr(unix.IFLA_INFO_KIND, []byte("veth"))
		m.nest(unix.IFLA_INFO_DATA, func() {
			m.nest(infoPeer, func() {
				m.b = append(m.b, link(0, 0)...)
				m.attr(unix.IFLA_IFNAME, cstring(peer)).attr(unix.IFLA_NET_NS_PID, u32(uint32(pid)))
			})
		})
	})
	if err := m.send(); err != nil {
		return fmt.Errorf("add veth %s: %w", name, err)
	}
	return nil
}

// configure gives the device an address and switches it on.
func configure(name string, p netip.Prefix) error {
	index, err := indexOf(name)
	if err != nil {
		return err
	}
	a := p.Addr().As4()
	body := []byte{unix.AF_INET, byte(p.Bits()), 0, 0}
	m := newMessage(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, append(body, u32(uint32(index))...))
	if err := m.attr(unix.IFA_LOCAL, a[:]).attr(unix.IFA_ADDRESS, a[:]).send(); err != nil {
		return fmt.Errorf("add address %v to %s: %w", p, name, err)
	}
	return switchLink(name, true)
}

func switchLink(name string, on bool) error {
	index, err := indexOf(name)
	if err != nil {
		return err
	}
	body := link(index, unix.IFF_UP)
	if !on {
		binary.NativeEndian.PutUint32(body[8:], 0)
	}
	if err := newMessage(unix.RTM_NEWLINK, 0, body).send(); err != nil {
		return fmt.Errorf("switch %s: %w", name, err)
	}
	return nil
}

func indexOf(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r); err != nil {
		return 0, fmt.Errorf("no device %s: %w", name, err)
	}
	return int(r.Uint32()), nil
}

// qdisc makes a queueing discipline the root of a device; fill adds its options.
func qdisc(device, kind string, fill func(m *message)) error {
	index, err := indexOf(device)
	if err != nil {
		return err
	}
	body := make([]byte, 20) // struct tcmsg
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[12:], 0xffffffff) // TC_H_ROOT
	m := newMessage(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body)
	m.attr(1 /* TCA_KIND */, cstring(kind))
	fill(m)
	if err := m.send(); err != nil {
		return fmt.Errorf("qdisc %s on %s: %w", kind, device, err)
	}
	return nil
}

// tbf limits a device to rate bytes per second with a bucket of burst and a queue of limit bytes: tc-tbf(8).
func tbf(device string, rate, burst, limit uint32) error {
	const parms, linkEthernet = 1, 1  // TCA_TBF_PARMS, TC_LINKLAYER_ETHERNET
	ticks := uint64(burst) * 1e9 / 64 // in units of 64 ns, the kernel's psched tick
	b := make([]byte, 12+12+12)       // two struct tc_ratespec, and limit, buffer, mtu
	b[1] = linkEthernet               // else a table of rates is wanted
	binary.NativeEndian.PutUint32(b[8:], rate)
	binary.NativeEndian.PutUint32(b[24:], limit)
	binary.NativeEndian.PutUint32(b[28:], uint32(ticks/uint64(rate)))
	return qdisc(device, "tbf", func(m *message) {
		m.nest(2 /* TCA_OPTIONS */, func() { m.attr(parms, b) })
	})
}

// netem delays each packet by delay to delay+jitter microseconds, so that packets overtake each other, and loses and
// doubles some, given in percent: tc-netem(8).
func netem(device string, delay, jitter uint32, loss, double float64) error {
	share := func(percent float64) uint32 { return uint32(percent / 100 * 0xffffffff) }
	b := make([]byte, 24) // struct tc_netem_qopt
	binary.NativeEndian.PutUint32(b[0:], uint32(uint64(delay)*1000/64))
	binary.NativeEndian.PutUint32(b[4:], 1000) // packets in the queue
	binary.NativeEndian.PutUint32(b[8:], share(loss))
	binary.NativeEndian.PutUint32(b[16:], share(double))
	binary.NativeEndian.PutUint32(b[20:], uint32(uint64(jitter)*1000/64))
	return qdisc(device, "netem", func(m *message) { m.attr(2 /* TCA_OPTIONS */, b) })
}
