package executor

import "math"

// A coroutine that always finds what it wants (a consumer whose channel never runs dry) would never suspend, and would
// keep its worker from everybody else until the monitor hands the worker over, which costs far more than a Yield. So
// what does not have to wait is counted, and when the coroutine's budget is spent it yields. Each resume begins anew.

// Checkpoint tells that the calling coroutine has done n operations without having to wait, and yields if that uses up
// its budget (Spawn.Budget, Config.CoroutineBudget). Channels and actors call it; a computation that takes long may call
// it too. It reports whether it yielded. On an ordinary goroutine, which the Go runtime preempts, it does nothing.
func Checkpoint(n int) bool {
	co := Current()
	if co == nil {
		return false
	}
	co.spent += int32(min(n, MaxBudget))
	if co.spent < co.budget && co.spent >= 0 || co.budget == math.MaxInt32 {
		return false
	}
	co.suspend(nil)
	return true
}

func (e *Executor) budgetOf(n int) int32 {
	switch {
	case n == 0:
		return int32(e.config.CoroutineBudget)
	case n < 0:
		return math.MaxInt32
	}
	return int32(min(n, MaxBudget))
}
