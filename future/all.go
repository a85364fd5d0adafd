package future

import (
	"errors"
	"sync/atomic"
)

// Result is how a future settled: Err is nil, or Value is the zero value.
type Result[T any] struct {
	Value T
	Err   error
}

var errNone = errors.New("future: none to choose from")

// All returns the future of all values, in the order of fs. The first error settles it and cancels the others, which
// end on their own; AllSettled waits for them.
func All[T any](fs ...*Future[T]) *Future[[]T] {
	g := newGroup[T, []T](fs)
	return g.gather(func(i int) (v []T, err error, done bool) {
		if err := fs[i].err; err != nil {
			return nil, err, true
		}
		if g.left.Add(-1) > 0 {
			return nil, nil, false
		}
		v = make([]T, len(fs))
		for i, f := range fs {
			v[i] = f.value
		}
		return v, nil, true
	}, func() ([]T, error) { return []T{}, nil })
}

// Zip returns the future of fn applied to both values, which may be of different types. The first error settles it and
// cancels the other, as with All. fn runs as that of Then does.
func Zip[A, B, T any](a *Future[A], b *Future[B], fn func(A, B) (T, error)) *Future[T] {
	unlistenA, aDone := ended(a)
	unlistenB, bDone := ended(b)
	both := All(aDone, bDone).Recover(func(err error) ([]struct{}, error) {
		// The other may never settle, and nothing of this is to gather at it.
		unlistenA()
		unlistenB()
		return nil, err
	})
	return Then(both, func([]struct{}) (T, error) { return fn(a.value, b.value) })
}

// ended is the future of f's end, and what takes it off f again.
func ended[T any](f *Future[T]) (unlisten func(), done *Future[struct{}]) {
	s := &mapStep[T, struct{}]{fn: func(T) (none struct{}) { return none }}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return func() { f.unlisten(&s.link) }, &s.Future
}

// AllSettled returns the future of all results, in the order of fs. It never fails.
func AllSettled[T any](fs ...*Future[T]) *Future[[]Result[T]] {
	g := newGroup[T, []Result[T]](fs)
	return g.gather(func(int) (v []Result[T], err error, done bool) {
		if g.left.Add(-1) > 0 {
			return nil, nil, false
		}
		v = make([]Result[T], len(fs))
		for i, f := range fs {
			v[i] = Result[T]{f.value, f.err}
		}
		return v, nil, true
	}, func() ([]Result[T], error) { return []Result[T]{}, nil })
}

// Any returns the future of the first value, and then cancels the others. When all fail its error joins theirs, in the
// order of fs. Without futures it fails.
func Any[T any](fs ...*Future[T]) *Future[T] {
	g := newGroup[T, T](fs)
	return g.gather(func(i int) (v T, err error, done bool) {
		if fs[i].err == nil {
			return fs[i].value, nil, true
		}
		if g.left.Add(-1) > 0 {
			return v, nil, false
		}
		errs := make([]error, len(fs))
		for i, f := range fs {
			errs[i] = f.err
		}
		return v, errors.Join(errs...), true
	}, func() (v T, err error) { return v, errNone })
}

// Race returns the future of the first result, value or error, and then cancels the others. Without futures it fails.
func Race[T any](fs ...*Future[T]) *Future[T] {
	g := newGroup[T, T](fs)
	return g.gather(func(i int) (v T, err error, done bool) {
		return fs[i].value, fs[i].err, true
	}, func() (v T, err error) { return v, errNone })
}

// errSuperfluous is why the losers of a Race, and what an All still waits for after an error, are cancelled.
var errSuperfluous = errors.New("future: the result is not wanted any more")

// group is a future of many. Each source has a member, which listens to it; decide is called for each source that
// settles, until it says done. Sources that settle at the same time call it concurrently.
type group[S, T any] struct {
	Future[T]
	sources []*Future[S]
	members []member[S, T]
	left    atomic.Int64
	decide  func(i int) (T, error, bool)
}

type member[S, T any] struct {
	link
	group *group[S, T]
	i     int
}

func newGroup[S, T any](fs []*Future[S]) *group[S, T] {
	g := &group[S, T]{sources: fs, members: make([]member[S, T], len(fs))}
	g.left.Store(int64(len(fs)))
	return g
}

func (g *group[S, T]) gather(decide func(int) (T, error, bool), empty func() (T, error)) *Future[T] {
	if len(g.sources) == 0 {
		v, err := empty()
		g.settle(v, err)
		return &g.Future
	}
	g.decide = decide
	g.up = g
	for i, f := range g.sources {
		m := &g.members[i]
		m.group, m.i, m.link.on = g, i, m
		if !f.listen(&m.link) {
			first, _ := m.sourceSettled()
			run(first)
		}
	}
	if g.settled.Load() { // meanwhile: some may have been listed after that
		g.unlisten()
	}
	return &g.Future
}

func (m *member[S, T]) sourceSettled() (first, last *link) {
	g := m.group
	if g.settled.Load() {
		return nil, nil
	}
	v, err, done := g.decide(m.i)
	if !done {
		return nil, nil
	}
	first, last, ok := g.finish(v, err)
	if ok {
		g.dismiss(first)
	}
	return first, last
}

// unlisten takes the members out of sources that are still pending. One that ignores its cancellation may take part in
// many groups, and must not gather members.
func (g *group[S, T]) unlisten() {
	for i, f := range g.sources {
		f.unlisten(&g.members[i].link)
	}
}

func (g *group[S, T]) cancel(cause error) { g.cancelPending(cause) }

// dismiss cancels the sources that are still pending. When a hook calls runtime.Goexit the caller gets nothing back, and
// the listeners are run here.
func (g *group[S, T]) dismiss(listeners *link) {
	returned := false
	defer func() {
		if !returned {
			run(listeners)
		}
	}()
	g.unlisten()
	g.cancelPending(errSuperfluous)
	returned = true
}

func (g *group[S, T]) cancelPending(cause error) { cancelAll(g.sources, cause) }

// cancelAll cancels all of fs, also when the hook of one calls runtime.Goexit.
func cancelAll[S any](fs []*Future[S], cause error) {
	if len(fs) == 0 {
		return
	}
	defer func() { cancelAll(fs, cause) }()
	for len(fs) > 0 {
		f := fs[0]
		fs = fs[1:]
		f.Cancel(cause)
	}
}
