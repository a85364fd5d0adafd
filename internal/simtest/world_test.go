//go:build linux

package simtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/internal/simkernel"
	"github.com/ouro-io/ouro/proactor"
)

// A world is one run: an engine on a kernel, peers, and what the operator does.
//
// Goroutines. The worker's takes all decisions, inside Poll and in the programs, which are coroutines on it. The main one
// sets up before the first Poll (gate), and then waits for an order, which the worker gives: to shut the engine down. A
// program on a goroutine of its own acts when the worker tells it to. All others wait meanwhile, so that the fields below
// need no lock; only the trace and what is wrong have one, for the goroutines that a timer wakes.
type world struct {
	tape      *tape
	kernel    *simkernel.Kernel
	gate      chan struct{} // closed when the world is set up
	backends  []*gated
	stage     *stage // where there are two workers, else nil
	engine    *proactor.Engine
	talks     map[uint16]*talk // by the peer's port
	all       []*talk
	files     *cabinet  // in a world of files, else nil
	exchange  *exchange // in a world of datagrams, else nil
	actors    int
	accepting bool
	forced    bool // the operator closes everything
	broke     bool // the backend broke
	ending    bool // an order was given
	orders    chan order
	counts    map[string]int
	polls     int
	unread    int // bound of the bytes that the engine may hold for a program that does not read
	queued    int // Config.WriteQueue

	unreadPackets int  // unread in datagrams
	operated      bool // the operator has shut down in the middle
	shares        bool // sends without a copy
	given         []*given
	doubles       uint64 // leases released twice before
	base          int    // listeners
	blockers      []*blocker

	mu      sync.Mutex
	failure string
	dead    bool // nothing can happen any more
	keep    bool
	trace   []string
	began   time.Time
}

// kind is what a run is about.
type kind string

const (
	sockets kind = "Sim"
	files   kind = "SimFiles"

	datagrams kind = "SimDatagrams"
	workers   kind = "SimWorkers"
	zeroCopy  kind = "SimZeroCopy"
)

// test is the name of the test that makes runs of the kind.
func (k kind) test() string { return "^Test" + string(k) + "$" }

type order uint8

const (
	finish   order = iota // everything is done
	graceful              // shut down, and wait for the programs
	forced                // shut down at once
)

func (w *world) note(format string, args ...any) {
	if !w.keep {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%12v %6d ", time.Since(w.began), len(w.tape.log))+fmt.Sprintf(format, args...))
}

// wrong notes what must not be. The first counts.
func (w *world) wrong(format string, args ...any) {
	w.note("WRONG: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

func (w *world) tally(what string) { w.counts[what]++ }

// gated is the worker's backend: it waits until the world is set up, and watches over the run.
type gated struct {
	op.Backend
	w    *world
	seat *seat // nil where there is no stage
}

// Wake also tells the stage.
func (g *gated) Wake() {
	g.Backend.Wake()
	if g.seat != nil {
		g.w.stage.wake()
	}
}

// reactor is one that keeps records by descriptor, as the epoll backend does and the ring does not.
type reactor struct {
	*gated
	op.Forgetter
}

// endlessSteps is the same for what happens in the world.
const endlessSteps = 1_000_000

// endlessPolls is the number of Polls after which a run is taken for one that never ends.
const endlessPolls = 50_000

func (g *gated) Poll(wait time.Duration) (int, error) {
	w := g.w
	<-w.gate
	if g.seat != nil {
		w.stage.leave(g.seat)
	}
	synctest.Wait()
	if w.ending && w.engine.Stats().Conns == 0 {
		w.unblock()
		w.hold(true)
	}
	if w.polls++; w.polls == endlessPolls {
		w.wrong("the run does not end: %s", w.waiting())
	}
	for _, t := range w.all {
		t.bounded()
	}
	w.holdings()
	if w.exchange != nil {
		for _, e := range w.exchange.ends {
			e.bounded()
		}
	}
	n, err := 0, error(nil)
	if w.polls >= endlessPolls || w.stuck() {
		err = errors.New("the run is given up")
	} else {
		n, err = g.Backend.Poll(wait)
	}
	if errors.Is(err, simkernel.ErrEndless) {
		w.wrong("the run does not end: %s", w.waiting())
	}
	if err != nil && !w.broke {
		w.note("the backend breaks: %v", err)
		w.broke = true
		w.command(finish)
	}
	if err != nil {
		g.goes() // it polls no more, and the others need the turn
	}
	return n, err
}

// goes is the end of a worker's part on the stage, if there is one.
func (g *gated) goes() {
	if g.seat != nil && !g.seat.gone {
		g.seat.gone = true
		g.w.stage.left <- g.seat
	}
}

// Close is the end of the worker.
func (g *gated) Close() error {
	g.w.hold(true)
	err := g.Backend.Close()
	g.goes()
	return err
}

// hold stops the world while the worker and the shutdown, on the main goroutine, end together and in no fixed order:
// nothing may be decided then.
func (w *world) hold(on bool) {
	w.tape.held.Store(on)
	w.kernel.Freeze(on)
}

func (w *world) stuck() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// idle is told that nothing can happen but by time, and not even that if unlimited.
func (w *world) idle(unlimited bool) (again bool, at time.Time) {
	synctest.Wait()
	for _, t := range w.all {
		if p := t.peer; !p.closed && time.Now().Before(p.asleep) && (at.IsZero() || p.asleep.Before(at)) {
			at = p.asleep
		}
	}
	if x := w.exchange.next(); !x.IsZero() && (at.IsZero() || x.Before(at)) {
		at = x
	}
	w.leftOver()
	switch {
	case w.finished():
		w.command(finish)
	case unlimited && at.IsZero() && w.exchange.rests():
		return true, at
	case unlimited && at.IsZero() && !w.stuck():
		w.wrong("nothing can happen any more, but there is work left: %s", w.waiting())
		w.mu.Lock()
		w.dead = true
		w.mu.Unlock()
		w.backends[0].Wake()
		return true, at
	}
	return false, at
}

// leftOver looks for connections that have nothing to wait for: the program has closed them, the peer has gone, and nothing can
// happen but by time.
func (w *world) leftOver() {
	if w.stage != nil || w.files != nil || w.exchange != nil || w.tape.held.Load() || w.backends[0].Backend.(*simkernel.Backend).Can() {
		return
	}
	live := w.base
	for _, t := range w.all {
		if t.started && !(t.over && t.running == 0 && t.peer.closed) {
			live++
		}
	}
	if n := w.engine.Stats().Conns; n > live {
		w.wrong("%d connections and listeners are there, and only %d have something to wait for", n, live)
	}
}

func (w *world) command(o order) {
	if w.ending {
		return
	}
	w.ending = true
	if o == finish {
		w.hold(true)
	}
	w.orders <- o
}

// finished reports whether all peers and all programs have ended.
func (w *world) finished() bool {
	for _, t := range w.all {
		if !t.peer.closed || t.started && !t.over || t.running > 0 {
			return false
		}
	}
	return w.files.finished() && w.exchange.finished()
}

// waiting describes what has not ended.
func (w *world) waiting() string {
	var s []string
	for _, t := range w.all {
		if !t.peer.closed || t.started && !t.over || t.running > 0 {
			s = append(s, fmt.Sprintf("talk %d (%v): peer closed %v, sent %d of %d, got %d; program started %v, over %v, running %d, got %d, wrote %d+%d",
				t.id, t.role, t.peer.closed, t.cSent, t.peer.total, t.cGot, t.started, t.over, t.running, t.sGot, t.sSent, t.sending))
		}
	}
	return strings.Join(append(append(s, w.files.waiting()...), w.exchange.waiting()...), "; ")
}

// An operator shuts the engine down in the middle of everything. Where he closes everything at once he stops accepting
// before: Shutdown would wait for that, and then close connections while the worker goes on already.
type operator struct {
	w       *world
	after   int
	o       order
	stop    func()
	waits   bool // for stop
	stopped bool
}

func (p *operator) Ready() bool {
	synctest.Wait()
	return !p.w.ending && (!p.waits || p.stopped)
}

func (p *operator) Step() {
	if p.after--; p.after > 0 {
		return
	}
	w := p.w
	w.accepting = false
	if p.o == forced && !p.waits {
		p.waits = true
		go func() {
			p.stop()
			p.stopped = true
		}()
		synctest.Wait()
		return
	}
	w.note("the operator shuts down (%d)", p.o)
	w.operated = true
	w.forced = p.o == forced
	w.command(p.o)
	synctest.Wait() // until the shutdown waits for the worker
}

// clock is the bubble's.
type clock struct{ zero time.Time }

func (c clock) Now() int64            { return int64(time.Since(c.zero)) + 1 }
func (c clock) Sleep(d time.Duration) { time.Sleep(d) }

// pick chooses one of the values; the first is the dullest.
func pick[T any](t *tape, vs ...T) T { return vs[t.Choose(len(vs))] }

func (w *world) faults(of kind) simkernel.Faults {
	t := w.tape
	if t.Choose(5) == 0 {
		return simkernel.Faults{}
	}
	rate := func() int { return pick(t, 0, 0, 10, 50, 300) }
	f := simkernel.Faults{
		Interrupt: rate(), Orphan: rate(), End: rate(), Short: rate(), Wait: rate(), Starve: rate(), Late: rate(),
		Refuse: rate(), Stale: rate(), Stir: rate(),
	}
	f.Reset = pick(t, 0, 0, 0, 5)
	f.Fail = pick(t, 0, 0, 0, 5)
	f.Break = pick(t, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
	if of == workers {
		f.Break = 0 // a worker without a backend takes no turns
	}
	if of == files {
		f.Behind = pick(t, 0, 100, 1000)
	}
	if of == datagrams {
		f.Lose, f.Overtake = pick(t, 0, 0, 50), pick(t, 0, 0, 50)
	}
	if of == zeroCopy {
		f.Deny, f.Hold = pick(t, 0, 20, 200), pick(t, 300, 0, 1000)
	}
	return f
}

// decide decides what the world is like.
func (w *world) decide(of kind) (proactor.Config, simkernel.BackendConfig) {
	t := w.tape
	var rest func(*simkernel.Backend, bool, time.Time)
	if w.stage != nil {
		rest = w.stage.rest
	}
	w.kernel = simkernel.New(simkernel.Config{
		Chooser: t, Watch: true, Rest: rest, Faults: w.faults(of), Idle: w.idle, Told: w.settle,
		Limit:      endlessSteps,
		SendBuffer: pick(t, 4096, 64, 300, 1500), ReceiveBuffer: pick(t, 4096, 64, 300, 1500),
	})
	pool := buffers.GroupConfig{Size: pick(t, 512, 64, 200, 1024), Count: pick(t, 16, 1, 2, 4, 8)}
	pool.Provide = 1 + t.Choose(pool.Count)
	b := simkernel.BackendConfig{Buffers: pool, CQEntries: pick(t, 64, 1, 2, 8), Reactor: t.Choose(3) == 2}
	c := proactor.Config{
		Backend: proactor.IOUring, Workers: 1, Buffers: pool, ReceiveQuota: t.between(1, 4), WriteQueue: pick(t, 0, 100, 2000),
		TaskBudget: pick(t, 0, 1, 2), StallAfter: time.Second, Log: w.log,
	}
	// Within one turn eight times the quota may arrive, some of it into memory of the rescue's size (4 KiB); and the
	// completion queue holds what the kernel has read already.
	w.unread = 8*c.ReceiveQuota*max(pool.Size, 4096) + b.CQEntries*pool.Size
	w.queued = cmp.Or(c.WriteQueue, 1<<20)
	if w.stage != nil {
		c.Workers = 2
	}
	if of == datagrams {
		c.Buffers.Size = pick(t, 512, 320, 1024) // 300 bytes stand before a datagram's
		b.Buffers.Size = c.Buffers.Size
		w.unreadPackets = 64*c.ReceiveQuota + b.CQEntries + 8
	}
	return c, b
}

// settle lets the goroutine that a completion woke come to rest.
func (w *world) settle() {
	if w.actors > 0 {
		synctest.Wait()
	}
}

// log is what the engine tells its operator.
func (w *world) log(s string) {
	w.note("engine: %s", s)
	if strings.Contains(s, "panic") {
		w.wrong("the engine reports: %s", s)
	}
}

// simulate is one run, in a bubble of its own.
func (w *world) simulate(of kind, t *tape, keep bool) {
	*w = world{
		tape: t, keep: keep, began: time.Now(), talks: map[uint16]*talk{}, orders: make(chan order, 1), accepting: true,
		counts: map[string]int{}, gate: make(chan struct{}), shares: of == zeroCopy, doubles: buffers.DoubleReleases(),
	}
	if of == workers {
		w.stage = newStage(w)
	}
	c, b := w.decide(of)
	parts := op.Parts{
		Clock: clock{time.Now()}, Rand: rand.NewPCG(1, 2), System: w.kernel,
		Backend: func(int) (op.Backend, error) {
			sim, err := w.kernel.NewBackend(b)
			g := &gated{sim, w, nil}
			w.backends = append(w.backends, g)
			if w.stage != nil {
				g.seat = w.stage.seat(sim)
			}
			if b.Reactor {
				return reactor{g, sim}, err
			}
			return g, err
		},
	}
	if of == datagrams {
		parts.System = settledCalls{w.kernel, w}
	}
	proactor.Simulate(&c, parts)
	var err error
	if w.engine, err = proactor.New(c); err != nil {
		w.wrong("the engine does not start: %v", err)
		return
	}
	synctest.Wait() // the worker stands at the gate
	if of == files {
		w.openFiles()
		close(w.gate)
		w.shutdown(<-w.orders)
		w.hold(false)
		w.afterwards()
		w.files.close()
		w.check()
		return
	}
	if of == datagrams {
		w.openExchange()
		if t.rarely(4) {
			w.kernel.Join(&operator{w: w, after: t.between(1, 300), o: pick(t, graceful, forced), stop: func() {}})
		}
		close(w.gate)
		w.shutdown(<-w.orders)
		w.hold(false)
		w.afterwards()
		w.check()
		return
	}
	var o *operator
	if t.rarely(4) {
		o = &operator{w: w, after: t.between(1, 300), o: pick(t, graceful, forced)}
		if w.stage != nil {
			o.o = graceful
		}
		w.kernel.Join(o)
	}
	stop := w.serve(o != nil && o.o == forced || w.stage != nil)
	if o != nil {
		o.stop = stop
	}
	if w.stage != nil {
		go w.stage.run()
	}
	w.base = w.engine.Stats().Conns
	close(w.gate)
	w.shutdown(<-w.orders)
	stop()
	w.hold(false)
	w.afterwards()
	w.check()
}

// afterwards has peers read what is under way to them when the engine is gone.
func (w *world) afterwards() {
	for {
		w.kernel.Run()
		_, at := w.idle(false)
		if at.IsZero() {
			return
		}
		time.Sleep(time.Until(at))
	}
}

// shutdown ends the engine as ordered.
func (w *world) shutdown(o order) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	if o == forced {
		cancel()
	}
	defer cancel()
	err := w.engine.Shutdown(ctx)
	w.note("shutdown: %v", err)
	if err != nil && !errors.Is(err, context.Canceled) {
		w.wrong("shutdown: %v", err)
	}
}

func (w *world) inFlight() (n int) {
	for _, g := range w.backends {
		n += g.InFlight()
	}
	return n
}

// check holds what is left against what may be.
func (w *world) check() {
	if w.failure != "" {
		return
	}
	for _, v := range w.kernel.Violations() {
		w.wrong("%s", v)
	}
	for _, t := range w.all {
		t.verdict()
	}
	w.leaseVerdict()
	w.files.verdict()
	w.exchange.verdict()
	s := w.engine.Stats()
	if w.stage != nil {
		w.note("%d tasks stolen", s.Executor.Steals)
		w.kernel.Tally("task is stolen", s.Executor.Steals)
		w.kernel.Tally("worker is handed over", s.Executor.HandOvers)
	}
	out, doubles := 0, uint64(0)
	for _, b := range s.Buffers {
		out, doubles = out+int(b.Out), doubles+uint64(b.DoubleReleases)
	}
	switch {
	case s.Conns != 0:
		w.wrong("%d connections are left", s.Conns)
	case w.inFlight() != 0 && !w.broke:
		w.wrong("%d operations are left in flight", w.inFlight())
	case out > w.kernel.Loans(): // which a backend that broke keeps
		w.wrong("%d leases are left", out)
	case doubles != 0:
		w.wrong("%d leases were released twice", doubles)
	case w.kernel.OpenFiles() != 0:
		w.wrong("%d descriptors are left", w.kernel.OpenFiles())
	case s.Leases.Out != 0:
		w.wrong("%d leases of registered memory are left", s.Leases.Out)
	case s.Executor.Panics != 0:
		w.wrong("%d panics", s.Executor.Panics)
	}
}
