//go:build linux

package proactor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
)

// Engine drives connections. All methods are safe from any goroutine.
type Engine struct {
	ex         *executor.Executor
	loops      []*loop
	info       Info
	system     op.System
	clock      executor.Clock
	quota      int
	writeQueue int
	bulk       bulk
	grace      time.Duration
	endsLater  sync.Once
	datagrams  op.Datagrams
	direct     bool // system is the kernel, so that what is pooled may outlive the engine
	log        func(string)
	fixed      *buffers.Pool // nil when Config.FixedBytes is negative
	turn       atomic.Uint32 // of assign
	ending     chan struct{} // closed when closing is set

	mu        sync.Mutex // guards what follows
	closing   bool
	acceptors map[*Acceptor]struct{}
	ended     chan struct{} // made by who waits for connections to end
}

// New starts an engine. A zero Config works; see Config for what is refused.
func New(c Config) (*Engine, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if c.fixed, err = fixedPool(c.FixedBytes, c.FixedSends); err != nil {
		return nil, err
	}
	newBackend, info, err := chooseBackend(c)
	if err != nil {
		return nil, err
	}
	e, err := start(c, newBackend, info)
	if err != nil && c.Backend == Auto && info.Backend == IOUring {
		// One ring could be had, but not one for each worker.
		info = Info{Backend: Epoll, Reason: err.Error()}
		e, err = start(c, reactors(c), info)
	}
	if err != nil {
		return nil, err
	}
	if info.Reason != "" && c.Backend == Auto {
		e.log(fmt.Sprintf("using %v: %s", info.Backend, info.Reason))
	}
	return e, nil
}

// start makes an engine whose workers have backends from newBackend.
func start(c Config, newBackend func(int) (op.Backend, error), info Info) (*Engine, error) {
	var err error
	e := &Engine{
		info: info, system: c.system, quota: c.ReceiveQuota, writeQueue: c.WriteQueue, log: c.Log, fixed: c.fixed, bulk: c.bulk, grace: c.grace,
		acceptors: map[*Acceptor]struct{}{}, ending: make(chan struct{}),
	}
	_, e.direct = c.system.(*kernel)
	if e.datagrams, _ = c.system.(op.Datagrams); e.datagrams == nil {
		e.datagrams = &kernel{}
	}
	e.ex, err = executor.New(executor.Config{
		Workers: c.Workers, Clock: c.clock, Rand: c.rand, TaskBudget: c.TaskBudget,
		StallAfter: c.StallAfter, DemoteAfter: c.DemoteAfter, NoSteal: c.NoSteal,
		NewDriver: func(w *executor.Worker) (executor.Driver, error) {
			b, err := newBackend(w.ID())
			if err != nil {
				return nil, err
			}
			l := &loop{engine: e, w: w, backend: b, batches: b.Batches(), turn: 1}
			e.loops = append(e.loops, l)
			return l, nil
		},
		OnPanic: func(p *executor.PanicError) { e.log(fmt.Sprintf("%v\n%s", p, p.Stack)) },
		OnDriverError: func(w *executor.Worker, err error) {
			l := w.Driver().(*loop)
			if l.ended.Load() { // most often leases that somebody holds: nothing broke, and no connection is left
				e.log(fmt.Sprintf("a worker has ended: %v", err))
				return
			}
			e.log(fmt.Sprintf("a worker's backend broke, its connections end: %v", err))
			l.broke(err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("proactor: start the %s engine: %w", info.Backend, err)
	}
	e.clock = e.ex.Clock()
	return e, nil
}

var defaultEngine struct {
	once sync.Once
	e    *Engine
	err  error
}

// Default returns the engine that the process shares, and starts it at first use with a zero Config. It is never
// shut down. It fails only when OURO_BACKEND asks for what cannot be had.
func Default() (*Engine, error) {
	d := &defaultEngine
	d.once.Do(func() { d.e, d.err = New(Config{}) })
	return d.e, d.err
}

// Executor is the executor that the engine's coroutines run on.
func (e *Engine) Executor() *executor.Executor { return e.ex }

// FileFlags are the open flags besides close-on-exec that the backend wants of listeners and of sockets to be connected:
// 0 or O_NONBLOCK.
func (e *Engine) FileFlags() int { return e.loops[0].backend.FileFlags() }

// NewConn takes over the connected stream socket fd, which must be non-blocking. On error
// the descriptor is still the caller's.
func (e *Engine) NewConn(fd int) (*Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return nil, ErrShutdown
	}
	return newConn(e.assignNear(), fd, true), nil
}

// Handle lets h, which must have OnData, serve c, which must not have been used for anything else.
func (e *Engine) Handle(c *Conn, h *Handler) {
	if h.OnData == nil {
		panic("proactor: Handle needs Handler.OnData")
	}
	c.handle(h)
}

// nearMost is how many connections more than the fewest, in proportion and besides, a loop may have and still get those
// that its coroutines make.
const (
	nearTimes = 2
	nearMost  = 16
)

// assignNear is assign for a connection that the caller has made. A coroutine's own loop comes first: what it passes from
// one of its connections to the other then needs nobody else (each hop to another worker is a command and a wake-up). But not
// where one loop would end up with all: a coroutine may make thousands.
func (e *Engine) assignNear() *loop {
	least := e.assign()
	co := executor.Current()
	if co == nil || co.Home().Executor() != e.ex {
		return least
	}
	own := co.Home().Driver().(*loop)
	if own.broken.Load() || own.load.Load() > nearTimes*least.load.Load()+nearMost {
		return least
	}
	return own
}

// assign picks the loop with the fewest connections; among equals they take turns. One that broke is the last choice.
func (e *Engine) assign() *loop {
	start := int(e.turn.Add(1))
	best := e.loops[start%len(e.loops)]
	for i := 1; i < len(e.loops); i++ {
		l := e.loops[(start+i)%len(e.loops)]
		if l.broken.Load() {
			continue
		}
		if best.broken.Load() || l.load.Load() < best.load.Load() {
			best = l
		}
	}
	return best
}

// deadline puts t on the engine's clock: 0 for none.
func (e *Engine) deadline(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	until := int64(time.Until(t)) // at most the largest there is, so that the sum may overflow
	now := e.clock.Now()
	if until > math.MaxInt64-now {
		return math.MaxInt64
	}
	return max(1, now+until)
}

// Ending is closed when Shutdown begins: for who gives the engine connections that it has not accepted.
func (e *Engine) Ending() <-chan struct{} { return e.ending }

// Shutdown ends the engine, in steps:
//
//  1. New connections and listeners are refused; listeners are closed.
//  2. Connections go on until their owners close them. When ctx ends first, all are closed: who waits gets ErrClosed,
//     and what Send has accepted has a second to be sent.
//  3. The executor ends its coroutines and workers.
//  4. Each worker drains and closes its backend.
//
// It returns nil when all of it was orderly, ctx's error when connections had to be closed, and after that names what
// could not be ended within five seconds (a handler that does not return); that ends by itself as soon as it can, or a
// second Shutdown waits for it. It must not be called on a coroutine of e.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	if !e.closing {
		close(e.ending)
	}
	e.closing = true
	acceptors := maps.Clone(e.acceptors)
	e.mu.Unlock()
	e.closeAcceptors(ctx, acceptors)
	var forced error
	if err := e.awaitConns(ctx); err != nil {
		forced = err
		for _, l := range e.loops {
			for _, c := range l.all() {
				c.hurry()
			}
			for _, c := range l.allPackets() {
				c.end()
			}
		}
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.grace)
		defer cancel()
		ctx = grace
		if err := e.awaitConns(grace); err != nil {
			forced = errors.Join(forced, err)
		}
	}
	err := e.ex.Shutdown(ctx)
	if err != nil && forced == nil && ctx.Err() != nil {
		// There was no connection to close, so that nobody had the grace yet.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.grace)
		defer cancel()
		err = e.ex.Shutdown(grace)
	}
	if err != nil {
		e.endsLater.Do(func() { go e.ex.Shutdown(context.Background()) })
	}
	if e.fixed != nil {
		err = errors.Join(err, e.fixed.Close())
	}
	return errors.Join(forced, err)
}

// closeAcceptors closes them, and waits until they have ended, also those that their owners are closing: what they have
// accepted is counted then. ctx does not end that, as it takes no more than a worker's turn; only what holds up a
// worker for long does.
func (e *Engine) closeAcceptors(ctx context.Context, acceptors map[*Acceptor]struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.grace)
	defer cancel()
	for a := range acceptors {
		a.stop()
	}
	for a := range acceptors {
		select {
		case <-a.ended:
		case <-ctx.Done():
			return
		}
	}
}

// graceTime is how long a shutdown whose context has ended waits for handlers to notice that.
const graceTime = 5 * time.Second

// awaitConns waits until no connection and no listener is open.
func (e *Engine) awaitConns(ctx context.Context) error {
	for {
		e.mu.Lock()
		if e.ended == nil {
			e.ended = make(chan struct{})
		}
		ended := e.ended
		e.mu.Unlock()
		n := int64(0)
		for _, l := range e.loops {
			n += l.load.Load()
		}
		if n == 0 {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("%d connections were open: %w", n, context.Cause(ctx))
		}
	}
}

// connEnded wakes awaitConns.
func (e *Engine) connEnded() {
	e.mu.Lock()
	if e.ended != nil {
		close(e.ended)
		e.ended = nil
	}
	e.mu.Unlock()
}
