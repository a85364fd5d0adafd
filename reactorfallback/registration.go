//go:build linux

package reactorfallback

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Registration is a descriptor that a Loop watches. Its methods are for the loop's owner.
//
// It is a user of its file (descriptor.go) from Watch to Close. Each change of interest takes a new generation, so what the
// kernel reported before it is dropped; it is level-triggered, so what still holds is reported again. Thus the handler is
// told of nothing that it has taken back before.
type Registration struct {
	l        *Loop
	file     *file // nil once it is closed, and with regular files
	fd       int
	interest Events
	handler  func(*Registration, Events)
	closed   bool
	then     func()
}

// Watch has handler called whenever fd is ready for something of interest. fd should be non-blocking, so that a handler can
// read or write until EAGAIN; it stays the caller's and must be open until Close has called its function. Regular files are
// always ready.
func (l *Loop) Watch(fd int, interest Events, handler func(*Registration, Events)) (*Registration, error) {
	if handler == nil {
		return nil, errors.New("reactorfallback: Watch without a handler")
	}
	if l.isClosed() {
		return nil, ErrLoop
	}
	if l.watched[fd] != nil {
		return nil, fmt.Errorf("%w: %d", ErrWatched, fd)
	}
	g := &Registration{l: l, fd: fd, interest: interest, handler: handler}
	if errno := g.register(); errno != 0 {
		return nil, fmt.Errorf("reactorfallback: Watch(%d): %w", fd, errno)
	}
	l.watched[fd] = g
	return g, nil
}

func (l *Loop) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// register makes g the user of its file.
func (g *Registration) register() syscall.Errno {
	f := g.l.r.files.at(int32(g.fd))
	if f == nil {
		return unix.EBADF
	}
	switch errno := g.l.r.register(f, g.events()); errno {
	case 0:
		f.users++
		f.level, g.file = g, f
		return 0
	case unix.EPERM:
		g.l.always = append(g.l.always, g)
		return 0
	default:
		return errno
	}
}

// leave is the end of register. What the kernel has reported already reaches nobody.
func (g *Registration) leave() {
	g.l.always = slices.DeleteFunc(g.l.always, func(o *Registration) bool { return o == g })
	if f := g.file; f != nil {
		g.file, f.level = nil, nil
		f.users--
		f.watched = false
		g.l.r.Forget(g.fd)
	}
}

// events are interest as epoll_ctl(2) has it.
func (g *Registration) events() (events uint32) {
	if g.interest&Readable != 0 {
		events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if g.interest&Writable != 0 {
		events |= unix.EPOLLOUT
	}
	return events
}

// FD is the descriptor.
func (g *Registration) FD() int { return g.fd }

// Loop is the loop that watches.
func (g *Registration) Loop() *Loop { return g.l }

// Set changes what the descriptor is watched for, at the price of a system call; with 0 only HangUp and Failed are told. Where it
// was closed without Close the handler is told Failed, once.
func (g *Registration) Set(interest Events) {
	if g.closed || interest == g.interest {
		return
	}
	g.interest = interest
	if g.file == nil {
		return
	}
	if errno := g.l.r.register(g.file, g.events()); errno != 0 {
		// EBADF, or EPERM of what took its number: it was closed behind the loop's back.
		_ = g.l.Post(func() {
			if !g.closed {
				g.handler(g, Failed)
			}
		})
	}
}

// Close ends the watching: the handler is not called any more. Then, from Run or from the loop's Close, then is called, if
// it is not nil: the place to close the descriptor.
func (g *Registration) Close(then func()) {
	if g.closed {
		return
	}
	g.closed, g.then = true, then
	g.leave()
	_ = g.l.Post(g.gone) // in a Loop that is closed it was called
}

func (g *Registration) gone() {
	if g.l.watched[g.fd] == g {
		delete(g.l.watched, g.fd)
	}
	if then := g.then; then != nil {
		g.then = nil
		then()
	}
}

// deliver calls the handler, for what epoll reported.
func (g *Registration) deliver(events uint32) {
	var ready Events
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 {
		ready = Readable
	}
	if events&unix.EPOLLOUT != 0 {
		ready |= Writable
	}
	ready &= g.interest
	if events&unix.EPOLLHUP != 0 {
		ready |= HangUp
	}
	if events&unix.EPOLLERR != 0 {
		ready |= Failed
	}
	if ready != 0 {
		g.handler(g, ready)
	}
}

// tellFiles calls the handlers of regular files, which are always ready, and reports whether there are any to call.
func (l *Loop) tellFiles() (told bool) {
	if len(l.always) == 0 {
		return false
	}
	for _, g := range slices.Clone(l.always) {
		if !g.closed && g.interest != 0 {
			told = true
			g.handler(g, g.interest)
		}
	}
	return told
}
