package executor

import "iter"

// stack is the goroutine, made by iter.Pull, that coroutines run on, one after the other. Making it is most of what
// starting a coroutine costs, so a worker keeps some that are idle.
//
// Owners: while it has a coroutine, whoever may resume that; while it is idle, its worker. It is dead when its function
// has returned, which only runtime.Goexit in a coroutine, a panic in Config.OnPanic and stop bring about; the first two
// also end the runner, which therefore never comes to put a dead one among the idle.
type stack struct {
	next  func() (struct{}, bool) // resumes it; false when it is dead
	stop  func()                  // ends it, when it is idle
	yield func(struct{}) bool
	g     uintptr // set when it runs for the first time
	co    *Coroutine
}

// keepStacks is the number of idle stacks that a worker keeps.
const keepStacks = 64

// newStack must be called on a runner: what is made on a locked thread could be resumed on no other.
func newStack() *stack {
	s := new(stack)
	// A function literal, not a method value: that would put a second frame on every idle stack.
	s.next, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.yield = yield
		s.g = getg()
		familiarity(s.g).Add(1)
		s.co.runner.curG.Store(s.g)
		for ok := true; ok; ok = yield(struct{}{}) {
			s.co.body()
			s.co = nil
		}
		familiarity(s.g).Add(-1)
	})
	return s
}

// takeStack gives co a stack. Owner only.
func (w *Worker) takeStack(co *Coroutine) *stack {
	if co.counted {
		co.home.starting.Add(-1)
	}
	var s *stack
	if n := len(w.stacks) - 1; n >= 0 {
		s = w.stacks[n]
		w.stacks[n] = nil
		w.stacks = w.stacks[:n]
	} else {
		s = newStack()
	}
	s.co, co.stack = co, s
	return s
}

// giveStack takes the stack of a coroutine that has ended back. owner tells whether the caller owns w.
func (w *Worker) giveStack(s *stack, owner bool) {
	if owner && len(w.stacks) < keepStacks {
		w.stacks = append(w.stacks, s)
		return
	}
	s.stop()
}

// dropStacks ends the idle stacks. Owner only.
func (w *Worker) dropStacks() {
	for _, s := range w.stacks {
		s.stop()
	}
	w.stacks = nil
}
