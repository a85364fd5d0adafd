//go:build linux

package reactorfallback

import (
	"fmt"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

// Poll delivers completions, see op.Backend.
//
// In each round it asks the kernel (waiting only when it has nothing to deliver by itself), then delivers what was
// due, then serves the files that had their share last time, then the events. All four lists live in the Reactor and
// are consumed one by one, so that a panic in a completer loses nothing but itself.
func (r *Reactor) Poll(wait time.Duration) (int, error) {
	if r.closed {
		return 0, op.ErrClosed
	}
	if r.broken != nil {
		return 0, r.broken
	}
	r.delivered = 0
	r.sendSubmitted()
	var deadline time.Time
	for {
		woken := false
		r.collect()
		switch {
		case r.next < r.filled:
			// Left over by a panic.
		case wait == 0 || r.hot.n > 0 || r.due.n > 0:
			r.glance()
		default:
			var left time.Duration
			if left, deadline = remaining(wait, deadline); left == 0 {
				return r.leave(wait)
			}
			woken = r.wait(left)
			r.collect()
		}
		if r.broken != nil {
			return 0, r.broken
		}
		r.deliver()
		if r.delivered > 0 || wait == 0 || woken {
			return r.leave(wait)
		}
	}
}

// remaining is what is left of wait, negative when it has no limit, and the moment at which it ends.
func remaining(wait time.Duration, deadline time.Time) (time.Duration, time.Time) {
	if wait < 0 {
		return wait, deadline
	}
	if deadline.IsZero() {
		return wait, time.Now().Add(wait)
	}
	return max(time.Until(deadline), 0), deadline
}

// leave ends a Poll. One that was allowed to wait takes a wake-up with it that came meanwhile; one that was not leaves it
// for the next, where at worst it is one too many.
func (r *Reactor) leave(wait time.Duration) (int, error) {
	if wait != 0 {
		r.waker.leave()
	}
	if r.delivered > 0 {
		r.count.Polls++
		r.pace.Delivered(r.delivered)
	}
	r.publish()
	return r.delivered, nil
}

// glance asks the kernel without waiting. When there are results to deliver anyway it does so only every other time:
// a turn that only sends then costs no call for nothing, and events come one turn late at most.
func (r *Reactor) glance() {
	if r.due.n > 0 && r.asked {
		r.asked = false
		return
	}
	r.take(r.epollNow())
	r.busy()
}

// take notes the answer of an epoll_wait.
func (r *Reactor) take(n int, errno syscall.Errno) {
	r.asked = true
	r.count.Syscalls++
	r.next, r.filled = 0, 0
	switch errno {
	case 0:
		r.filled = n
	case syscall.EINTR:
	default:
		r.broken = fmt.Errorf("reactorfallback: epoll_wait: %w (was the reactor's descriptor closed by somebody else?)", errno)
	}
}

func (r *Reactor) deliver() {
	for n := r.due.n; n > 0; n-- {
		r.finish(r.due.pop())
	}
	for n := r.hot.n; n > 0; n-- {
		r.serve(r.hot.pop())
	}
	for r.next < r.filled {
		ev := &r.events[r.next]
		r.next++
		r.handle(ev.Fd, uint32(ev.Pad), ev.Events)
	}
}

// handle serves what the kernel reported.
func (r *Reactor) handle(fd int32, gen, events uint32) {
	if gen == ownGen {
		if int(fd) == r.tickFD {
			r.ticked()
		}
		return
	}
	f := r.files.find(fd)
	if f == nil || !f.watched || f.gen != gen {
		return
	}
	if f.level != nil {
		r.delivered++
		f.level.deliver(events)
		return
	}
	f.note(events)
	if f.polls.head != nil {
		r.poll(f, events)
	}
	r.serve(f)
}

// serve lets the tasks of f go on as far as they can, up to their share. Completers run in between, and they may
// cancel, submit, close the descriptor and open another one under its number: so each step looks at the file's present
// state.
func (r *Reactor) serve(f *file) {
	for share := r.cfg.Burst; f.ready&unix.EPOLLOUT != 0 && f.out.head != nil; share-- {
		if share == 0 {
			r.hot.push(f)
			break
		}
		r.stepOut(f, f.out.head)
	}
	for share := r.cfg.Burst; f.ready&unix.EPOLLIN != 0 && f.in.head != nil; share-- {
		if share == 0 {
			r.hot.push(f)
			break
		}
		r.share = share
		r.stepIn(f, f.in.head)
		share = r.share
	}
}

// stepOut and stepIn make one system call for t, the head of its queue.

func (r *Reactor) stepOut(f *file, t *task) {
	ended := false
	switch t.op.Kind {
	case op.Connect:
		ended = r.connect(f, t)
	case op.SendMsg, op.SendMsgZC:
		ended = r.sendMsg(f, t)
	default:
		ended = r.send(f, t)
	}
	if ended {
		r.end(&f.out, t, t.res, t.errno)
	}
}

func (r *Reactor) stepIn(f *file, t *task) {
	switch t.op.Kind {
	case op.Recv:
		r.recv(f, t)
	case op.RecvInto:
		r.recvInto(f, t)
	case op.RecvMsg:
		r.recvMsg(f, t)
	case op.RecvMsgInto:
		r.recvMsgInto(f, t)
	default:
		r.accept(f, t)
	}
}
