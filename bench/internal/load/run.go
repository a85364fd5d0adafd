package load

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/bench/internal/proc"
)

// Run makes one measurement. It takes its goroutine's thread and turns the process's garbage collector off while it
// runs, so a process should do nothing else at the time.
func Run(cfg Config) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	l, err := newLoop(cfg)
	if err != nil {
		return Result{}, err
	}
	defer l.close()
	if cfg.CountSyscalls {
		if l.syscalls, err = proc.CountSyscalls(cfg.ServerPID); err != nil {
			return Result{}, err
		}
		defer l.syscalls.Close()
	}
	switch cfg.Kind {
	case Sink:
		return l.sink()
	case Churn:
		return l.churn()
	case Idle:
		return l.idle()
	case Broadcast:
		return l.broadcast()
	case UDP:
		return l.udp()
	default:
		return l.echo()
	}
}

// usage is what the two processes have used so far.
type usage struct {
	at           int64
	server, self time.Duration
	system       time.Duration
	switches     int64
	syscalls     int64
}

func (l *loop) usage() (u usage, err error) {
	if pid := l.cfg.ServerPID; pid > 0 {
		if u.server, err = proc.CPUTime(pid); err != nil {
			return u, err
		}
		if u.system, err = proc.SystemTime(pid); err != nil {
			return u, err
		}
		if u.switches, err = proc.Switches(pid); err != nil {
			return u, err
		}
		if l.syscalls != nil {
			if u.syscalls, err = l.syscalls.Count(); err != nil {
				return u, err
			}
		}
	}
	if u.self, err = proc.CPUTime(os.Getpid()); err != nil {
		return u, err
	}
	u.at = l.now()
	return u, nil
}

func (u usage) since(before usage) Result {
	return Result{
		WindowNs:       u.at - before.at,
		ServerCPUNs:    int64(u.server - before.server),
		ServerSystemNs: int64(u.system - before.system),
		ServerSwitches: u.switches - before.switches,
		ServerSyscalls: u.syscalls - before.syscalls,
		LoadCPUNs:      int64(u.self - before.self),
	}
}

// window runs the loop through the warm-up and the measured window.
func (l *loop) window(f func(c *conn, events uint32) error, begin func() error) (before, after usage, err error) {
	end := l.now() + int64(l.cfg.Warmup)
	passed := func() bool { return l.now() >= end }
	if err = l.until(passed, f); err != nil {
		return before, after, fmt.Errorf("warm-up: %w", err)
	}
	if before, err = l.usage(); err != nil {
		return before, after, err
	}
	if err = begin(); err != nil {
		return before, after, err
	}
	end = before.at + int64(l.cfg.Window)
	if err = l.until(passed, f); err != nil {
		return before, after, err
	}
	after, err = l.usage()
	return before, after, err
}

func (l *loop) echo() (Result, error) {
	if err := l.open(l.cfg.Conns, true); err != nil {
		return Result{}, err
	}
	if l.cfg.Rate > 0 {
		l.pace = newPacer(l)
	} else {
		for i := range l.conns {
			if l.cfg.Kind == Skew && i%2 == 1 {
				continue
			}
			if err := l.send(&l.conns[i], l.cfg.Pipeline, l.now()); err != nil {
				return Result{}, err
			}
		}
	}
	return l.measure(l.echoEvent)
}

// measure runs the loop and reports what was completed in the window.
func (l *loop) measure(f func(c *conn, events uint32) error) (Result, error) {
	var first uint64
	before, after, err := l.window(f, func() error {
		l.recording, first, l.lost = true, l.completed, 0
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	r := after.since(before)
	r.Requests = l.completed - first
	r.Bytes = r.Requests * uint64(l.cfg.Size)
	r.TotalRequests = l.completed
	r.Lost = l.lost
	if l.pace != nil {
		r.Behind = l.pace.behind(after.at)
	}
	r.SetLatency(l.hist)
	return r, nil
}

// sink writes blocks of Size bytes on every connection. What still sits in the sockets at either end of the window
// is left out, so the bytes counted are those that the server's kernel acknowledged.
func (l *loop) sink() (Result, error) {
	if err := l.open(l.cfg.Conns, false); err != nil {
		return Result{}, err
	}
	block := make([]byte, l.cfg.Size)
	offset := make([]int, len(l.conns))
	for i := range l.conns {
		ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(i)}
		if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_MOD, int(l.conns[i].fd), &ev); err != nil {
			return Result{}, os.NewSyscallError("epoll_ctl", err)
		}
	}
	writable := func(c *conn, _ uint32) error {
		n, e := write(c.fd, block[offset[c.id]:])
		if e == syscall.EAGAIN || e == syscall.EINTR {
			return nil
		}
		if e != 0 {
			return errnoError("write", c.id, e)
		}
		l.progress += uint64(n)
		offset[c.id] = (offset[c.id] + n) % len(block)
		return nil
	}
	var first uint64
	before, after, err := l.window(writable, func() (err error) {
		first, err = l.acknowledged()
		return err
	})
	if err != nil {
		return Result{}, err
	}
	last, err := l.acknowledged()
	if err != nil {
		return Result{}, err
	}
	r := after.since(before)
	r.Bytes = last - first
	return r, nil
}

// acknowledged is the number of bytes written less those that are still in the send queues (SIOCOUTQ, tcp(7)).
func (l *loop) acknowledged() (uint64, error) {
	n := l.progress
	for i := range l.conns {
		q, err := unix.IoctlGetInt(int(l.conns[i].fd), unix.TIOCOUTQ)
		if err != nil {
			return 0, os.NewSyscallError("ioctl", err)
		}
		n -= uint64(q)
	}
	return n, nil
}

// idle measures what connections cost that do nothing. One connection goes first and stays, so that what a server
// sets up at its first use is not charged to the others.
func (l *loop) idle() (Result, error) {
	if err := l.open(1, true); err != nil {
		return Result{}, err
	}
	time.Sleep(l.cfg.Warmup)
	base, err := l.memory()
	if err != nil {
		return Result{}, err
	}
	kernelBase, err := proc.KernelMemory()
	if err != nil {
		return Result{}, err
	}
	if err := l.open(l.cfg.Conns, true); err != nil {
		return Result{}, err
	}
	time.Sleep(l.cfg.Warmup)
	full, err := l.memory()
	if err != nil {
		return Result{}, err
	}
	kernelFull, err := proc.KernelMemory()
	if err != nil {
		return Result{}, err
	}
	before, err := l.usage()
	if err != nil {
		return Result{}, err
	}
	time.Sleep(l.cfg.Window)
	after, err := l.usage()
	if err != nil {
		return Result{}, err
	}
	r := after.since(before)
	r.PSSBytes, r.RSSBytes = full.PSS-base.PSS, full.RSS-base.RSS
	r.KernelBytes = kernelFull - kernelBase
	r.TotalRequests = l.completed
	return r, nil
}

func (l *loop) memory() (proc.Memory, error) {
	if l.cfg.ServerPID <= 0 {
		return proc.Memory{}, nil
	}
	return proc.MemoryOf(l.cfg.ServerPID)
}
