//go:build linux

package reactorfallback

import (
	"sync"
	"sync/atomic"
	"syscall"
)

// A filePool makes the system calls of operations on files, which wait without ever being "ready", on goroutines of its
// own: at most limit of them, started when there is work and ended when there is none.
//
// A task in the pool is in one of three places: queue (waiting for a goroutine; Cancel takes it out), with a goroutine
// (nothing can end it, so its owner waits for the call), or finished (its result waits for the next Poll, which the
// goroutine has woken). mu guards all three. While a task is with a goroutine the reactor does not touch it.
type filePool struct {
	mu       sync.Mutex
	queue    taskQueue
	finished taskQueue
	running  int
	limit    int
	idle     *sync.Cond   // running became 0
	some     atomic.Int32 // len(finished), so that a Poll without files takes no lock
	wake     func()
}

func (p *filePool) init(limit int, wake func()) {
	p.limit, p.wake = limit, wake
	p.idle = sync.NewCond(&p.mu)
}

func (p *filePool) submit(t *task) {
	p.mu.Lock()
	p.queue.push(t)
	if p.running < p.limit {
		p.running++
		go p.run()
	}
	p.mu.Unlock()
}

// run makes calls until none is left.
func (p *filePool) run() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.queue.n > 0 {
		t := p.queue.pop()
		p.mu.Unlock()
		n, errno := fileCall(t.op)
		p.mu.Lock()
		t.res, t.errno = int32(n), errno
		p.finished.push(t)
		p.some.Store(int32(p.finished.n))
		p.wake()
	}
	if p.running--; p.running == 0 {
		p.idle.Broadcast()
	}
}

// cancel takes t out if no call was made for it yet.
func (p *filePool) cancel(t *task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := p.queue.head; x != nil; x = x.next {
		if x == t {
			p.queue.remove(t)
			return true
		}
	}
	return false
}

// collect moves what is finished to due.
func (r *Reactor) collect() {
	p := &r.pool
	if p.some.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.finished.n > 0 {
		t := p.finished.pop()
		r.count.Syscalls++
		r.settle(t, t.res, t.errno)
	}
	p.some.Store(0)
}

// drainFiles waits for the calls that are under way; cancelled ones are gone already.
func (r *Reactor) drainFiles() {
	p := &r.pool
	p.mu.Lock()
	for p.running > 0 {
		p.idle.Wait()
	}
	p.mu.Unlock()
	r.collect()
}

// errnoOf is what a result of package unix says.
func errnoOf(err error) syscall.Errno {
	switch e := err.(type) {
	case nil:
		return 0
	case syscall.Errno:
		return e
	}
	return syscall.EIO
}
