package executor

// overloadAfter is how long a turn may last, in nanoseconds, before a worker with more tasks asks for help. Below it
// the wake-up of another worker costs more than the wait.
const overloadAfter = 100_000

// stealMax bounds what one attempt takes, so that several thieves get something.
const stealMax = 16

// overload looks at the clock and asks for help when the turn that began at began is long. Owner only.
func (w *Worker) overload(began int64) {
	if w.e.clock.Now()-began < overloadAfter {
		return
	}
	if !w.overloaded.Load() {
		w.overloaded.Store(true)
		w.e.overloaded.Add(1)
	}
	w.e.rouseIdle()
}

func (w *Worker) settleDown() {
	w.overloaded.Store(false)
	w.e.overloaded.Add(-1)
}

// rouseIdle wakes one worker that sleeps.
func (e *Executor) rouseIdle() {
	for _, w := range e.workers {
		if w.rouse() {
			return
		}
	}
}

// steal takes ready tasks of one overloaded worker, up to half of them. Owner only.
func (w *Worker) steal() bool {
	e := w.e
	if !e.steals || e.overloaded.Load() == 0 {
		return false
	}
	n := len(e.workers)
	first := int(w.rng.Uint64() % uint64(n))
	for i := range n {
		v := e.workers[(first+i)%n]
		if v == w || !v.overloaded.Load() {
			continue
		}
		got := 0
		for want := min((v.ready.len()+1)/2, stealMax); got < want; got++ {
			t := v.ready.steal()
			if t == nil {
				break
			}
			w.ready.push(t)
		}
		if got > 0 {
			e.stats.steals.Add(uint64(got))
			return true
		}
	}
	return false
}
