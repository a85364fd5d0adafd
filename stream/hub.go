package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ouro-io/ouro/internal/routine"
)

// ErrTwice is how a branch of Tee, Partition or GroupBy ends that is run a second time.
var ErrTwice = errors.New("stream: a branch can be run once")

// hub runs a source once for several branches, each a stream of its own with a pipe between.
//
// The source starts when the first branch is run, on a routine where that runs, under a context that keeps the first
// branch's values but not its end: it ends when every branch has been left (left == len(branches)), and the last branch
// to leave waits for it. A value goes to the branches one after the other, and each waits for room in that branch's
// pipe: so the slowest sets the pace, and a branch that is never run stops the others once its pipe is full. When a
// context ends a branch and no other is running, the whole is given up: those not run yet end with the same cause.
type hub[T any] struct {
	source func(ctx context.Context, put func(branch int, v T) bool) error

	mu       sync.Mutex
	branches []*branch[T]
	active   int // branches that run
	left     int // branches that ran
	started  bool
	cancel   context.CancelFunc
	end      turn // the source has ended
}

type branch[T any] struct {
	hub  *hub[T]
	pipe *pipe[T]
	w    writer
	used bool
}

func newHub[T any](n, buffer int) *hub[T] {
	if n < 1 || buffer < 1 {
		panic(fmt.Sprintf("stream: %d branches with a buffer of %d; at least 1 each", n, buffer))
	}
	h := &hub[T]{}
	for range n {
		b := &branch[T]{hub: h, pipe: newPipe[T](context.Background(), buffer)}
		b.pipe.running = 1 // the source
		h.branches = append(h.branches, b)
	}
	return h
}

func (h *hub[T]) streams() []Stream[T] {
	var ss []Stream[T]
	for _, b := range h.branches {
		ss = append(ss, b.run)
	}
	return ss
}

// run is the branch as a stream.
func (b *branch[T]) run(ctx context.Context, yield func(T) bool) (err error) {
	h := b.hub
	h.mu.Lock()
	if b.used {
		h.mu.Unlock()
		return ErrTwice
	}
	b.used = true
	h.active++
	start := !h.started
	h.started = true
	var sourceCtx context.Context
	if start {
		sourceCtx, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	}
	h.mu.Unlock()
	if start {
		if err := routine.Go(func() { h.run(sourceCtx) }); err != nil {
			h.finish(fmt.Errorf("stream: the source was not started: %w", err))
		}
	}
	// The branch's own context does not reach the source, so its end is made the pipe's.
	stop := context.AfterFunc(ctx, func() { b.pipe.interrupt(context.Cause(ctx)) })
	defer stop()
	defer func() { b.leave(ctx) }()
	return b.pipe.deliverShared(yield)
}

// leave ends a branch: the last one ends the source and waits for it.
func (b *branch[T]) leave(ctx context.Context) {
	h := b.hub
	h.mu.Lock()
	h.active--
	h.left++
	last := h.left == len(h.branches)
	givenUp := h.active == 0 && ctx.Err() != nil
	h.mu.Unlock()
	if givenUp {
		for _, b := range h.branches {
			b.pipe.interrupt(context.Cause(ctx))
		}
	}
	if last || givenUp {
		h.cancel()
		h.end.wait()
	}
}

// run is the source's routine.
func (h *hub[T]) run(ctx context.Context) {
	err := routine.Catch(func() error {
		return h.source(ctx, func(i int, v T) bool {
			b := h.branches[i]
			return b.pipe.put(&b.w, v)
		})
	}, h.finish)
	h.finish(err)
}

// finish tells the branches that the source has ended.
func (h *hub[T]) finish(err error) {
	for _, b := range h.branches {
		b.pipe.done(err)
	}
	h.end.end()
}

// Tee returns n streams with the values of s, which runs once. Each must be run, concurrently with the others, once; each
// may be up to buffer values behind the fastest. A branch that stops is left out; when all have, s ends. Values that hold
// something are shared, and released by nobody but the branches' users.
func (s Stream[T]) Tee(n, buffer int) []Stream[T] {
	h := newHub[T](n, buffer)
	h.source = func(ctx context.Context, put func(int, T) bool) error {
		gone := make([]bool, n)
		return s(ctx, func(v T) bool {
			more := false
			for i := range gone {
				gone[i] = gone[i] || !put(i, v)
				more = more || !gone[i]
			}
			return more
		})
	}
	for _, b := range h.branches {
		b.pipe.drop.holds = false
	}
	return h.streams()
}

// Partition splits s in two: the values for which in is true, and the others. Both must be run, concurrently, once; each
// may be up to buffer values behind. Values for a branch that has stopped are released.
func (s Stream[T]) Partition(buffer int, in func(T) bool) (yes, no Stream[T]) {
	h := newHub[T](2, buffer)
	h.source = func(ctx context.Context, put func(int, T) bool) error {
		var gone [2]bool
		return s(ctx, func(v T) bool {
			i := 1
			if in(v) {
				i = 0
			}
			gone[i] = !put(i, v)
			return !(gone[0] && gone[1])
		})
	}
	ss := h.streams()
	return ss[0], ss[1]
}

// Group is the part of a stream that has one key.
type Group[K comparable, T any] struct {
	Key K
	// Values must be run once, concurrently with the other groups and with the stream of groups, unless the group is released.
	Values  Stream[T]
	release func()
}

// Release discards the group: its values are released, as they come, and hold nothing up. An operator that leaves a group out
// calls it (see the package comment), so groups may be filtered by their keys.
func (g Group[K, T]) Release() {
	if g.release != nil {
		g.release()
	}
}

// GroupConfig bounds a GroupBy. The zero value works.
type GroupConfig struct {
	// Groups is how many keys there may be at most; one more ends the stream with ErrGroups. 0 means 1024.
	Groups int
	// Buffer is how many values of a group may wait for it; then the source waits. 0 means 16.
	Buffer int
}

var errReleased = errors.New("stream: the group was released")

// ErrGroups means that a GroupBy has met more keys than GroupConfig.Groups allows.
var ErrGroups = errors.New("stream: more keys than GroupConfig.Groups")

// GroupBy splits s by key: a group comes when its key is first seen, and its values come by its own stream. The groups
// must be run concurrently, for example by MapUnordered with as many at a time as there may be keys; a group that is neither
// run nor released (Filter does that) stops the source once Buffer values wait for it. The stream of groups ends when s has ended. Groups that are still
// running when it is stopped end with it.
func GroupBy[K comparable, T any](s Stream[T], c GroupConfig, key func(T) K) Stream[Group[K, T]] {
	if c.Groups == 0 {
		c.Groups = 1024
	}
	if c.Buffer == 0 {
		c.Buffer = 16
	}
	if c.Groups < 1 || c.Buffer < 1 {
		panic(fmt.Sprintf("stream: GroupConfig{Groups: %d, Buffer: %d}; at least 1 each, or 0 for the default", c.Groups, c.Buffer))
	}
	drop := dropper[T]()
	return func(ctx context.Context, yield func(Group[K, T]) bool) error {
		out := newPipe[Group[K, T]](ctx, 1)
		out.start(func(ctx context.Context, put func(Group[K, T]) bool) (err error) {
			groups := map[K]*pipe[T]{}
			var w writer
			// A closure, since err is the result: the groups end as the source did.
			defer func() {
				for _, p := range groups {
					p.done(err)
				}
			}()
			var failed error
			err = s(ctx, func(v T) bool {
				k := key(v)
				p := groups[k]
				if p == nil {
					if len(groups) == c.Groups {
						failed = fmt.Errorf("%w (%d)", ErrGroups, c.Groups)
						drop.drop(v)
						return false
					}
					p = newPipe[T](context.Background(), c.Buffer)
					p.running = 1
					groups[k] = p
					// A group that nobody runs, and one that goes on when the whole is stopped, end with it.
					forget := context.AfterFunc(ctx, func() { p.abandon(context.Cause(ctx)) })
					if !put(Group[K, T]{k, groupStream(p, forget), func() { forget(); p.interrupt(errReleased) }}) {
						drop.drop(v) // and put has released the group
						return false
					}
				}
				p.put(&w, v) // one whose consumer has stopped discards it
				return ctx.Err() == nil
			})
			if failed != nil {
				err = failed
			}
			return err
		})
		return out.deliver(yield)
	}
}

// groupStream is the values of one group.
func groupStream[T any](p *pipe[T], forget func() bool) Stream[T] {
	var mu sync.Mutex
	used := false
	return func(ctx context.Context, yield func(T) bool) error {
		mu.Lock()
		twice := used
		used = true
		mu.Unlock()
		if twice {
			return ErrTwice
		}
		defer forget()
		stop := context.AfterFunc(ctx, func() { p.interrupt(context.Cause(ctx)) })
		defer stop()
		return p.deliverShared(yield)
	}
}
