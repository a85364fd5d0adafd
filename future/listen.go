package future

import (
	"runtime/debug"

	"github.com/ouro-io/ouro/executor"
)

// link is a place in a future's list of listeners. A listener embeds one for each future that it listens to.
type link struct {
	next *link
	on   listener
}

// listener is told, once, that the future that it listens to has settled. When that settles a further future it returns
// that one's listeners instead of running them, so that a chain of any length takes no more stack than one step.
type listener interface {
	sourceSettled() (first, last *link)
}

// run tells the listeners from l on, and those that become ready by it.
func run(l *link) {
	if l == nil {
		return
	}
	// When a function of the user calls runtime.Goexit the others are told nevertheless.
	defer func() { run(l) }()
	for l != nil {
		x := l
		l, x.next = x.next, nil
		if first, last := x.on.sourceSettled(); first != nil {
			last.next, l = l, first
		}
	}
}

// attempt calls fn for f and settles f with what comes of it: what fn returns, its panic, or its Goexit. It returns the
// listeners that are to be run.
func attempt[S, T any](f *Future[T], fn func(S) (T, error), arg S) (first, last *link) {
	returned := false
	defer func() {
		if !returned {
			first, last = failed(f, recover())
		}
	}()
	v, err := fn(arg)
	returned = true
	first, last, _ = f.finish(v, err)
	return first, last
}

// failed settles f after its function has panicked (p) or called runtime.Goexit (p is nil); then nothing can be returned,
// so the listeners are run here.
func failed[T any](f *Future[T], p any) (first, last *link) {
	var none T
	if p == nil {
		f.settle(none, executor.ErrGoexit)
		return nil, nil
	}
	first, last, _ = f.finish(none, &executor.PanicError{Value: p, Stack: debug.Stack()})
	return first, last
}
