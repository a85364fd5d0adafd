//go:build linux

package reactorfallback

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// pollable are the events that can be asked for; what stands above are epoll's own switches.
	pollable = 1<<14 - 1
	// always are the events that are reported whether asked for or not, see epoll_ctl(2).
	always = unix.EPOLLERR | unix.EPOLLHUP
)

// submitPoll looks at the present state, because the edge may lie in the past.
func (r *Reactor) submitPoll(f *file, t *task) {
	want := t.op.Events & pollable
	if f.watched && want&^(interest|f.asked) == 0 {
		// Watched already, so an edge after this look will be told.
		r.count.Syscalls++
		got, errno := r.pollNow(f.fd, want)
		if got != 0 || errno != 0 {
			r.settle(t, int32(got), errno)
			return
		}
	}
	f.polls.push(t)
	if errno := r.watch(f, want); errno == syscall.EPERM {
		// Not watchable, as a regular file: always ready.
		f.polls.remove(t)
		r.settle(t, int32(want&(unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDNORM|unix.EPOLLWRNORM)), 0)
	} else if errno != 0 {
		f.polls.remove(t)
		r.settle(t, 0, errno)
	}
}

// poll ends the Polls of f that wait for one of ev. Their owners may submit more, so it looks at those of before only.
func (r *Reactor) poll(f *file, ev uint32) {
	for n := f.polls.n; n > 0 && f.polls.head != nil; n-- {
		t := f.polls.pop()
		if got := ev & (t.op.Events | always) & pollable; got != 0 {
			t.res = int32(got)
			r.finish(t)
		} else {
			f.polls.push(t)
		}
	}
}
