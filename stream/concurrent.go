package stream

import (
	"context"
	"fmt"
	"sync"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
)

// Buffer runs s on its own and lets it be up to n values (at least 1) ahead of its consumer.
func (s Stream[T]) Buffer(n int) Stream[T] {
	if n < 1 {
		panic(fmt.Sprintf("stream: Buffer(%d); at least 1", n))
	}
	return func(ctx context.Context, yield func(T) bool) error {
		p := newPipe[T](ctx, n)
		p.start(s)
		return p.deliver(yield)
	}
}

// Merge runs all the streams at once and yields what comes as it comes; values of one stream keep their order. The first
// error ends the others and then the whole.
func Merge[T any](ss ...Stream[T]) Stream[T] {
	return func(ctx context.Context, yield func(T) bool) error {
		p := newPipe[T](ctx, len(ss))
		for _, s := range ss {
			p.start(s)
		}
		return p.deliver(yield)
	}
}

// Zip pairs the values of a and b with f until one of them ends. b is asked for a value only when a has one, so at most
// one value of a is left over.
func Zip[A, B, T any](a Stream[A], b Stream[B], f func(A, B) T) Stream[T] {
	drop := dropper[A]()
	return func(ctx context.Context, yield func(T) bool) (err error) {
		next, stop := b.Pull(ctx)
		stopped := false
		defer func() {
			if failed := stop(); err == nil && !stopped {
				err = failed
			}
		}()
		return a(ctx, func(x A) bool {
			y, ok := next()
			if !ok {
				drop.drop(x)
				return false
			}
			stopped = !yield(f(x, y))
			return !stopped
		})
	}
}

// Pull turns s around: next returns one value after the other and false at the end, and stop ends the run and returns its
// error, nil if it was stopped before. s runs only while next waits for it. stop must be called; both from one goroutine
// or coroutine at a time. Unlike iter.Pull it may be used on coroutines with streams that wait.
func (s Stream[T]) Pull(ctx context.Context) (next func() (T, bool), stop func() error) {
	return s.pullOn(routine.Go, ctx)
}

// pullOn is Pull with s run by another way of starting.
func (s Stream[T]) pullOn(start func(func()) error, ctx context.Context) (next func() (T, bool), stop func() error) {
	p := newPipe[T](ctx, 1)
	g := newGate(0)
	started, over, stopped := false, false, false
	next = func() (v T, ok bool) {
		if over {
			return v, false
		}
		if !started {
			started = true
			p.startOn(start, func(under context.Context, put func(T) bool) error {
				g.acquire()
				return ended(ctx, s(under, func(v T) bool {
					if !put(v) {
						return false
					}
					g.acquire() // until the next one is wanted
					return under.Err() == nil
				}))
			})
		}
		g.release()
		v, how := p.get()
		over = how != gotValue
		return v, !over
	}
	stop = func() error {
		stopped = stopped || !over
		over = true
		p.cancel(errStopped) // first, so that s does not make a value that nobody wants
		g.open()
		err := p.shut(true)
		if stopped {
			return nil
		}
		return err
	}
	return next, stop
}

// MapConcurrent is Try with up to n calls of f at the same time, each where the stream runs: on coroutines of the
// worker, or on goroutines. The results keep the order of the values. The first error ends the others and the whole; of the values before it those come whose
// calls succeed nevertheless.
func MapConcurrent[T, U any](s Stream[T], n int, f func(context.Context, T) (U, error)) Stream[U] {
	return mapConcurrent(s, n, true, f)
}

// MapUnordered is MapConcurrent with the results as they come.
func MapUnordered[T, U any](s Stream[T], n int, f func(context.Context, T) (U, error)) Stream[U] {
	return mapConcurrent(s, n, false, f)
}

func mapConcurrent[T, U any](s Stream[T], n int, ordered bool, f func(context.Context, T) (U, error)) Stream[U] {
	if n < 1 {
		panic(fmt.Sprintf("stream: MapConcurrent with n = %d; at least 1", n))
	}
	drop := dropper[T]()
	return func(ctx context.Context, yield func(U) bool) error {
		p := newPipe[U](ctx, n)
		slots := newGate(n)
		var before *turn // in order: that of the value before
		p.start(func(ctx context.Context, _ func(U) bool) error {
			return s(ctx, func(v T) bool {
				slots.acquire()
				if ctx.Err() != nil {
					slots.release()
					drop.drop(v)
					return false
				}
				mine, last := (*turn)(nil), before
				if ordered {
					mine = &turn{broken: true}
					before = mine
				}
				started := p.start(func(ctx context.Context, put func(U) bool) error {
					defer slots.release()
					defer mine.end()
					var u U
					err := routine.Catch(func() (err error) {
						u, err = f(ctx, v)
						return err
					}, p.fail)
					if err != nil {
						p.fail(err) // at once: the others may wait for the end of ctx
						return err
					}
					if last.wait() { // no value overtakes an error
						p.drop.drop(u)
						return nil
					}
					put(u)
					mine.mend()
					return nil
				})
				if !started {
					mine.end()
					slots.release()
					drop.drop(v)
				}
				return started
			})
		})
		return p.deliver(yield)
	}
}

// turn is over once; any number of parties wait for that. It is broken unless its value was delivered, and so were those before.
type turn struct {
	mu     sync.Mutex
	over   bool
	broken bool    // not changed any more once it is over
	first  *writer // those that wait
}

// mend is for the turn's owner, before its end.
func (t *turn) mend() {
	if t != nil {
		t.broken = false
	}
}

func (t *turn) end() {
	if t == nil {
		return
	}
	t.mu.Lock()
	t.over = true
	w := t.first
	t.first = nil
	t.mu.Unlock()
	wakeAll(w)
}

// wait waits for the end and reports whether the turn is broken.
func (t *turn) wait() (broken bool) {
	if t == nil {
		return false
	}
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return t.broken
	}
	w := &writer{next: t.first}
	w.waiter.Prepare()
	t.first = w
	t.mu.Unlock()
	w.waiter.Wait()
	return t.broken
}

// gate lets one party through n times, and again after each release.
type gate struct {
	mu      sync.Mutex
	free    int
	always  bool
	waiting bool
	waiter  executor.Waiter
}

func newGate(n int) *gate { return &gate{free: n} }

func (g *gate) acquire() {
	g.mu.Lock()
	for g.free == 0 && !g.always {
		g.waiter.Prepare()
		g.waiting = true
		g.mu.Unlock()
		g.waiter.Wait()
		g.mu.Lock()
	}
	if !g.always {
		g.free--
	}
	g.mu.Unlock()
}

func (g *gate) release() { g.add(1, false) }

// open lets everybody through for good.
func (g *gate) open() { g.add(0, true) }

func (g *gate) add(n int, always bool) {
	g.mu.Lock()
	g.free += n
	g.always = g.always || always
	wake := g.waiting
	g.waiting = false
	g.mu.Unlock()
	if wake {
		g.waiter.Wake()
	}
}

// FromChan is the stream of what is received from c until it is closed.
func FromChan[T any](c <-chan T) Stream[T] {
	receive := func(ctx context.Context, yield func(T) bool) error {
		for {
			select {
			case v, ok := <-c:
				if !ok || !yield(v) {
					return nil
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return func(ctx context.Context, yield func(T) bool) error {
		if executor.Current() == nil {
			return receive(ctx, yield)
		}
		// A goroutine waits for the channel, so that the worker does not, and receives only what is asked for: what it took
		// ahead would be lost to others when the stream ends.
		return Stream[T](receive).pulledOn(onGoroutine, ctx, yield)
	}
}

// pulledOn is s run by another way of starting, a value at a time.
func (s Stream[T]) pulledOn(start func(func()) error, ctx context.Context, yield func(T) bool) (err error) {
	next, stop := s.pullOn(start, ctx)
	defer func() { err = stop() }()
	for {
		if v, ok := next(); !ok || !yield(v) {
			return nil
		}
	}
}

func onGoroutine(fn func()) error {
	go fn()
	return nil
}

// ToChan runs s and sends its values to c, which stays open.
func (s Stream[T]) ToChan(ctx context.Context, c chan<- T) error {
	if executor.Current() == nil {
		return s.ForEach(ctx, func(v T) error { return send(ctx, c, v) })
	}
	// The other way round than usual: a goroutine at the end waits for the channel, and the stream runs here.
	p := newPipe[T](ctx, 1)
	p.running = 1
	var end turn
	var failed error // read after end
	go func() {
		defer end.end()
		_ = p.deliver(func(v T) bool {
			failed = send(ctx, c, v)
			return failed == nil
		})
	}()
	w := new(writer)
	err := executor.ErrGoexit
	func() {
		defer func() { p.done(err) }() // also when s panics: the goroutine waits for it
		err = s.ForEach(ctx, func(v T) error {
			if !p.put(w, v) {
				return errStopped
			}
			return nil
		})
	}()
	end.wait()
	if failed != nil {
		return failed
	}
	return err
}

// send sends v unless ctx ends before.
func send[T any](ctx context.Context, c chan<- T, v T) error {
	select {
	case c <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
