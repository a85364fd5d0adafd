package future

// Then returns the future of fn applied to f's value; when f fails, of f's error, without calling fn. fn runs on the
// goroutine that settles f, or at once when f has settled, so it should be short: to wait in it, use Chain and Go. A
// panic in fn becomes an *executor.PanicError. A step costs one allocation.
func Then[T, U any](f *Future[T], fn func(T) (U, error)) *Future[U] {
	s := &thenStep[T, U]{fn: fn}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return &s.Future
}

// Map is Then for a function that cannot fail.
func Map[T, U any](f *Future[T], fn func(T) U) *Future[U] {
	s := &mapStep[T, U]{fn: fn}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return &s.Future
}

// Chain is Then for a function that returns a future: the result is that one's.
func Chain[T, U any](f *Future[T], fn func(T) *Future[U]) *Future[U] {
	s := &chainStep[T, U]{fn: fn}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return &s.Future
}

// Recover returns a future with f's value, or, when f fails, with what fn makes of the error. fn may return another
// error; wrap the one that it got to keep the chain of causes.
func (f *Future[T]) Recover(fn func(error) (T, error)) *Future[T] {
	s := &recoverStep[T]{fn: fn}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return &s.Future
}

// OrElse returns a future with f's value, or, when f fails, with the result of the future that fn returns.
func (f *Future[T]) OrElse(fn func(error) *Future[T]) *Future[T] {
	s := &elseStep[T]{fn: fn}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return &s.Future
}

// Finally returns a future with f's result that settles once fn has been called, however f ends: for what has to be given
// back. As with a deferred function, a panic in fn takes the place of the result.
func (f *Future[T]) Finally(fn func()) *Future[T] {
	s := &finallyStep[T]{fn: fn}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return &s.Future
}

// Shield returns a future with f's result that protects f: Cancel settles the shield with its cause, and f goes on.
func (f *Future[T]) Shield() *Future[T] {
	s := &shieldStep[T]{}
	s.link.on = s
	follow(f, &s.Future, &s.link, s)
	return &s.Future
}

// step is a derived future's view of its source. It is set before the step is listed, so that whoever settles the source
// sees it.
type step[S any] struct {
	link link
	src  *Future[S]
}

func (s *step[S]) from(src *Future[S]) { s.src = src }

func (s *step[S]) cancel(cause error) { s.src.Cancel(cause) }

type follower[S any] interface {
	listener
	upstream
	from(*Future[S])
}

// follow makes to a step behind src. The interface s is made of a pointer, so it costs nothing.
func follow[S, T any](src *Future[S], to *Future[T], l *link, s follower[S]) {
	s.from(src)
	to.up = s // also when src has settled: a second stage may follow
	if src.settled.Load() || !src.listen(l) {
		first, _ := s.sourceSettled()
		run(first)
	}
}

type thenStep[S, T any] struct {
	Future[T]
	step[S]
	fn func(S) (T, error)
}

func (s *thenStep[S, T]) sourceSettled() (first, last *link) {
	fn := s.fn
	s.fn = nil // neither what it holds nor the source is needed longer
	if err := s.src.err; err != nil {
		var none T
		first, last, _ = s.finish(none, err)
		return first, last
	}
	return attempt(&s.Future, fn, s.src.value)
}

type mapStep[S, T any] struct {
	Future[T]
	step[S]
	fn func(S) T
}

func (s *mapStep[S, T]) sourceSettled() (first, last *link) {
	fn := s.fn
	s.fn = nil
	if err := s.src.err; err != nil {
		var none T
		first, last, _ = s.finish(none, err)
		return first, last
	}
	return attempt(&s.Future, func(v S) (T, error) { return fn(v), nil }, s.src.value)
}

type recoverStep[T any] struct {
	Future[T]
	step[T]
	fn func(error) (T, error)
}

func (s *recoverStep[T]) sourceSettled() (first, last *link) {
	fn := s.fn
	s.fn = nil
	if err := s.src.err; err != nil {
		return attempt(&s.Future, fn, err)
	}
	first, last, _ = s.finish(s.src.value, nil)
	return first, last
}

type finallyStep[T any] struct {
	Future[T]
	step[T]
	fn func()
}

func (s *finallyStep[T]) sourceSettled() (first, last *link) {
	fn := s.fn
	s.fn = nil
	return attempt(&s.Future, func(src *Future[T]) (T, error) {
		fn()
		return src.value, src.err
	}, s.src)
}

type shieldStep[T any] struct {
	Future[T]
	step[T]
}

func (s *shieldStep[T]) sourceSettled() (first, last *link) {
	first, last, _ = s.finish(s.src.value, s.src.err)
	return first, last
}

func (s *shieldStep[T]) cancel(cause error) {
	s.src.unlisten(&s.link) // the source may live long, and have many shields
	var none T
	s.settle(none, cause)
}
