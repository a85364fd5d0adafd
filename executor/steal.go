package executor

// A worker asks for help when its turn has lasted overloadAfter and the tasks that wait will take helpWorth more, both
// in nanoseconds, if they go on like those before. Below that the wake-up of another worker, and the system calls that
// stolen work cannot share, cost more than the wait.
const (
	overloadAfter = 50_000
	helpWorth     = 100_000
)

// stealMax bounds what one attempt takes, so that several thieves get something.
const stealMax = 16

// overload looks at the clock after the first done tasks of a turn that began at began, and asks for help when that is
// worth it. Owner only.
func (w *Worker) overload(began int64, done int) {
	lasted := w.e.clock.Now() - began
	if lasted < overloadAfter || lasted*int64(w.ready.len())/int64(done) < helpWorth {
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
