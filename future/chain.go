package future

import "errors"

var errNoFuture = errors.New("future: the function returned a nil future")

// inner is the second stage of a step whose function returns a future: it forwards that one's result, and cancellation
// to it.
//
// A cancellation that arrives while fn runs finds the source settled and inner not there yet. So it is kept in cause,
// and handed on when inner is known.
type inner[T any] struct {
	Future[T]
	second link
	next   *Future[T] // guarded by mu
	cause  error      // guarded by mu
}

// sourceSettled is told that next has settled.
func (s *inner[T]) sourceSettled() (first, last *link) {
	first, last, _ = s.finish(s.next.value, s.next.err)
	return first, last
}

// adopt makes next the future whose result is s's.
func (s *inner[T]) adopt(next *Future[T]) (first, last *link) {
	if next == nil {
		var none T
		first, last, _ = s.finish(none, errNoFuture)
		return first, last
	}
	s.second.on = s
	s.mu.Lock()
	s.next = next
	cause := s.cause
	s.mu.Unlock()
	if cause != nil {
		next.Cancel(cause)
	}
	if !next.listen(&s.second) {
		return s.sourceSettled()
	}
	return nil, nil
}

// call calls fn, and adopts the future that it returns.
func adoptFrom[S, T any](s *inner[T], fn func(S) *Future[T], arg S) (first, last *link) {
	returned := false
	defer func() {
		if !returned {
			first, last = failed(&s.Future, recover())
		}
	}()
	next := fn(arg)
	returned = true
	return s.adopt(next)
}

// wanted takes note of a cancellation and returns the second stage, if it has begun.
func (s *inner[T]) wanted(cause error) *Future[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
	}
	return s.next
}

type chainStep[S, T any] struct {
	inner[T]
	step[S]
	fn func(S) *Future[T]
}

func (s *chainStep[S, T]) sourceSettled() (first, last *link) {
	fn := s.fn
	s.fn = nil
	if err := s.src.err; err != nil {
		var none T
		first, last, _ = s.finish(none, err)
		return first, last
	}
	return adoptFrom(&s.inner, fn, s.src.value)
}

func (s *chainStep[S, T]) cancel(cause error) {
	if next := s.wanted(cause); next != nil {
		next.Cancel(cause)
		return
	}
	s.src.Cancel(cause)
}

type elseStep[T any] struct {
	inner[T]
	step[T]
	fn func(error) *Future[T]
}

func (s *elseStep[T]) sourceSettled() (first, last *link) {
	fn := s.fn
	s.fn = nil
	if err := s.src.err; err != nil {
		return adoptFrom(&s.inner, fn, err)
	}
	first, last, _ = s.finish(s.src.value, nil)
	return first, last
}

func (s *elseStep[T]) cancel(cause error) {
	if next := s.wanted(cause); next != nil {
		next.Cancel(cause)
		return
	}
	s.src.Cancel(cause)
}
