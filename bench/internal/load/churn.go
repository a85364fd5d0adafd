package load

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// churn keeps Conns connections under way: each is opened, echoes one message, is closed by a reset (so that nothing
// stays in TIME_WAIT), and is followed by the next. A connection's latency runs from the call of connect to its echo.
//
// The descriptor of a slot changes; leaving an epoll set is part of close.
func (l *loop) churn() (Result, error) {
	l.once = true // an echo is followed by the next connection
	for i := range l.cfg.Conns {
		l.conns = append(l.conns, conn{fd: -1, id: i, sentAt: make([]int64, 1)})
		if err := l.reopen(&l.conns[i]); err != nil {
			return Result{}, err
		}
	}
	return l.measure(func(c *conn, events uint32) error {
		if err := l.echoEvent(c, events); err != nil {
			return err
		}
		if c.received == c.sent {
			return l.reopen(c)
		}
		return nil
	})
}

// reopen closes slot c's connection, if there is one, and opens the next.
func (l *loop) reopen(c *conn) error {
	if c.fd >= 0 {
		unix.Close(int(c.fd))
		c.fd = -1
	}
	start := l.now()
	fd, err := dialTCP(l.cfg.Addr)
	if err != nil {
		return fmt.Errorf("connection %d: %w", c.id, err)
	}
	c.fd = int32(fd)
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.id)}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return errnoError("epoll_ctl", c.id, err.(syscall.Errno))
	}
	return l.send(c, 1, start)
}
