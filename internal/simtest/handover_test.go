//go:build linux

package simtest

import (
	"testing/synctest"
	"time"
)

// Hand-over. A program of two workers may block in its turn, on something that the engine does not know: then nobody acts, time
// passes until the executor's monitor has looked twice, and a new runner takes the worker over. It acts in the turn that its
// predecessor was given, up to its first Poll. The coroutine that was left behind is like a program on a goroutine from there on: it goes on when
// somebody's Poll tells it to, as an agent, and that Poll waits until it rests, which is when it suspends or ends. After that it is its
// worker's again. So here, too, one goroutine acts at a time.

// A blocker is what such a coroutine waits for.
type blocker struct {
	gate chan struct{}
	open bool
}

// mostBlocks bounds the blocks of a run: each takes one to two StallAfters, in which no worker sends, and a closed connection
// that cannot send for lingerTime is reset.
const mostBlocks = 2

func (b *blocker) Ready() bool { return !b.open }

func (b *blocker) Step() {
	b.open = true
	close(b.gate)
	synctest.Wait() // until the coroutine rests
}

// strain holds up the worker of the coroutine that calls it, so that the other takes some of its tasks, or so long that the worker
// is handed over. Who was left behind by that holds up nobody, and would run beside them all when his sleep ends.
func (w *world) strain() {
	if w.stage == nil || !w.tape.rarely(3) {
		return
	}
	g := w.driving()
	switch n := w.tape.Choose(5); {
	case g == nil:
	case n < 4:
		time.Sleep(time.Duration(1+n) * 100 * time.Microsecond)
	case len(w.blockers) < mostBlocks && !w.ending && g.InFlight() > 0: // else it may take 16 StallAfters
		b := &blocker{gate: make(chan struct{})}
		w.blockers = append(w.blockers, b)
		w.kernel.Join(b)
		began := w.engine.Stats().Executor.HandOvers
		<-b.gate
		if w.engine.Stats().Executor.HandOvers == began {
			w.wrong("a coroutine that blocked goes on, and its worker was not handed over")
		}
		w.note("a worker was handed over")
	}
}

// unblock lets all go on: nobody will be stepped any more.
func (w *world) unblock() {
	for _, b := range w.blockers {
		if b.Ready() {
			b.Step()
		}
	}
}

// driving is the worker that runs the caller's coroutine now; nil if none does, as it was handed over.
func (w *world) driving() *gated {
	for i, x := range w.engine.Executor().Workers() {
		if s, ok := x.Enter(); ok {
			s.Leave()
			return w.backends[i]
		}
	}
	return nil
}
