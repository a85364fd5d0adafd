package load

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// resendAfter is when a socket's datagrams count as lost.
const resendAfter = 200 * time.Millisecond

// udp keeps Pipeline datagrams in flight on each of Conns sockets. A socket on which nothing has come back for
// resendAfter counts those in flight as lost and sends new ones.
func (l *loop) udp() (Result, error) {
	m := l.codec.(*messages)
	heard := make([]int64, l.cfg.Conns)
	for i := range l.cfg.Conns {
		fd, err := dialUDP(l.cfg.Addr)
		if err != nil {
			return Result{}, err
		}
		l.conns = append(l.conns, conn{fd: int32(fd), id: i, sentAt: make([]int64, l.cfg.Pipeline)})
		if err := l.watchNew(fd, i); err != nil {
			return Result{}, err
		}
	}
	for i := range l.conns {
		heard[i] = l.now()
		if err := l.sendDatagrams(&l.conns[i], l.cfg.Pipeline); err != nil {
			return Result{}, err
		}
	}
	checked := l.now()
	l.onTick = func() error {
		now := l.now()
		if now-checked < int64(resendAfter)/4 {
			return nil
		}
		checked = now
		for i := range l.conns {
			c := &l.conns[i]
			if now-heard[i] < int64(resendAfter) {
				continue
			}
			heard[i] = now
			l.lost += c.sent - c.received
			c.received = c.sent
			if err := l.sendDatagrams(c, l.cfg.Pipeline); err != nil {
				return err
			}
		}
		return nil
	}
	return l.measure(func(c *conn, _ uint32) error {
		heard[c.id] = l.now()
		return l.receiveDatagrams(c, m)
	})
}

func (l *loop) watchNew(fd, id int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(id)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev))
}

func dialUDP(addr string) (int, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// sendDatagrams sends n messages, each a datagram.
func (l *loop) sendDatagrams(c *conn, n int) error {
	for range n {
		c.sentAt[c.sent%uint64(len(c.sentAt))] = l.now()
		l.scratch = l.codec.append(l.scratch[:0], c.id, c.sent)
		c.sent++
		_, e := write(c.fd, l.scratch)
		if e != 0 && e != syscall.EAGAIN && e != syscall.EINTR && e != syscall.ENOBUFS {
			return errnoError("write", c.id, e)
		}
	}
	return nil
}

// receiveDatagrams reads what has come, checks it and sends as many again. Datagrams that were given up already are
// passed over; those in flight that a later one has overtaken are not, since nothing reorders on loopback.
func (l *loop) receiveDatagrams(c *conn, m *messages) error {
	for {
		n, e := read(c.fd, l.rbuf)
		if e == syscall.EAGAIN || e == syscall.EINTR {
			return nil
		}
		if e != 0 {
			return errnoError("read", c.id, e)
		}
		if n != m.size {
			return fmt.Errorf("connection %d: a datagram of %d bytes came back as %d", c.id, m.size, n)
		}
		l.progress += uint64(n)
		seq := binary.LittleEndian.Uint64(l.rbuf) & (1<<seqBits - 1)
		if err := m.check(l.rbuf[:n], c.id, seq); err != nil {
			return err
		}
		if seq < c.received {
			continue
		}
		if seq >= c.sent {
			return fmt.Errorf("connection %d got more than it sent", c.id)
		}
		if l.recording {
			l.record(l.now() - c.sentAt[seq%uint64(len(c.sentAt))])
		}
		missed := seq - c.received
		l.lost += missed
		c.received = seq + 1
		l.completed++
		if err := l.sendDatagrams(c, 1+int(missed)); err != nil {
			return err
		}
	}
}
