package load

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/bench/internal/proc"
	"github.com/ouro-io/ouro/bench/protocol"
)

const (
	// dialBatch is how many connections are opened and proved by one echo before the next ones: well below any
	// listen backlog, whose overflow would cost a retransmission of a second.
	dialBatch = 256
	// tick bounds each wait, so that time-outs are noticed.
	tick = 50 * time.Millisecond
)

// loop is the state of one run. Everything is touched by one goroutine only.
type loop struct {
	cfg     Config
	ep      int
	conns   []conn
	codec   codec
	rbuf    []byte
	scratch []byte
	events  []unix.EpollEvent
	base    time.Time
	// due lists the connections that have messages to send at the end of the turn.
	due  []int
	hist *hdrhistogram.Histogram

	// pace sends what is due in an open loop; nil in a closed one. onTick, if not nil, is called after each turn.
	pace   *pacer
	onTick func() error

	// once: finished messages are not followed by new ones.
	once      bool
	recording bool
	completed uint64
	// lost counts datagrams sent again.
	lost uint64
	// syscalls counts those of the server, or is nil.
	syscalls *proc.SyscallCounter
	// progress grows with every byte moved; it is what the hang guard looks at.
	progress uint64
}

func newLoop(cfg Config) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &loop{
		cfg:    cfg,
		ep:     ep,
		conns:  make([]conn, 0, cfg.Conns),
		codec:  codecOf(cfg),
		rbuf:   make([]byte, 64<<10),
		events: make([]unix.EpollEvent, 1024),
		base:   time.Now(),
		hist:   protocol.NewHistogram(),
	}, nil
}

func codecOf(cfg Config) codec {
	if cfg.Kind == HTTP {
		return new(httpCodec)
	}
	return newMessages(cfg.Size)
}

// now is the time in nanoseconds since the loop was made.
func (l *loop) now() int64 { return int64(time.Since(l.base)) }

func (l *loop) close() {
	for i := range l.conns {
		if fd := l.conns[i].fd; fd >= 0 {
			unix.Close(int(fd))
		}
	}
	unix.Close(l.ep)
}

// dial opens one more connection and watches it.
func (l *loop) dial() error {
	id := len(l.conns)
	fd, err := dialTCP(l.cfg.Addr)
	if err != nil {
		return fmt.Errorf("connection %d: %w", id, err)
	}
	l.conns = append(l.conns, conn{fd: int32(fd), id: id, sentAt: make([]int64, l.cfg.Pipeline)})
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(id)}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// watch makes c wait for input, or for input and output.
func (l *loop) watch(c *conn, out bool) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.id)}
	if out {
		ev.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, int(c.fd), &ev))
}

// turn waits for events, for at most ns nanoseconds, and handles them with f.
func (l *loop) turn(ns int64, f func(c *conn, events uint32) error) error {
	n, e := epollWait(l.ep, l.events, ns)
	if e == syscall.EINTR {
		return nil
	}
	if e != 0 {
		return os.NewSyscallError("epoll_wait", e)
	}
	for i := range n {
		if err := f(&l.conns[l.events[i].Fd], l.events[i].Events); err != nil {
			return err
		}
	}
	return l.sendDue()
}

func (l *loop) echoEvent(c *conn, events uint32) error {
	if events&unix.EPOLLOUT != 0 {
		if err := l.flush(c); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT != 0 {
		return l.receive(c)
	}
	return nil
}

// errHung is wrapped when nothing came back for Config.Stall.
var errHung = errors.New("nothing came back")

// until turns the loop until done reports true, and fails when nothing moves for too long.
func (l *loop) until(done func() bool, f func(c *conn, events uint32) error) error {
	moved, at := l.progress, l.now()
	for !done() {
		wait := int64(tick)
		if l.pace != nil {
			var err error
			if wait, err = l.pace.send(); err != nil {
				return err
			}
		}
		if err := l.turn(wait, f); err != nil {
			return err
		}
		if l.onTick != nil {
			if err := l.onTick(); err != nil {
				return err
			}
		}
		if l.progress != moved {
			moved, at = l.progress, l.now()
		} else if l.now()-at > int64(l.cfg.Stall) {
			return fmt.Errorf("%w for %v", errHung, l.cfg.Stall)
		}
	}
	return nil
}

// open opens n more connections and, when echo is set, has each echo one message.
func (l *loop) open(n int, echo bool) error {
	l.once = true
	defer func() { l.once = false }()
	for n > 0 {
		batch := min(n, dialBatch)
		first := len(l.conns)
		for range batch {
			if err := l.dial(); err != nil {
				return err
			}
		}
		n -= batch
		if !echo {
			continue
		}
		want := l.completed + uint64(batch)
		for i := first; i < len(l.conns); i++ {
			if err := l.send(&l.conns[i], 1, l.now()); err != nil {
				return err
			}
		}
		if err := l.until(func() bool { return l.completed == want }, l.echoEvent); err != nil {
			return fmt.Errorf("first echo on each of %d connections: %w", batch, err)
		}
	}
	return nil
}

// dialTCP connects to an IPv4 address. Closing the socket resets the connection, so that thousands of them leave
// nothing in TIME_WAIT to slow down the next measurement.
func dialTCP(addr string) (int, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := prepare(fd, ap); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func prepare(fd int, ap netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}); err != nil {
		return os.NewSyscallError("connect", err)
	}
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}
