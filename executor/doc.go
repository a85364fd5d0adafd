// Package executor runs tasks and coroutines on a fixed number of workers, each of which waits on an injected Driver.
//
// # Who may call what
//
// An Executor has N Workers. A worker is driven by a runner, an ordinary goroutine that is not locked to a thread; a
// runner that is held up by user code is deposed and another takes the worker over. What a worker owns (its driver,
// its ready queue, and whatever the owner of the driver keeps per worker) may be touched by the goroutine that runs
// the worker at the moment only:
//
//   - code that the executor calls in loop state: Driver.Poll and the completions that it delivers, OnCommand,
//     OnTimer. Such code must be short, must not block and must not panic (a panic there ends the process);
//   - user code (a coroutine, a RunTask) between a successful Worker.Enter and Section.Leave.
//
// Everything exported is safe from any goroutine unless its comment says otherwise.
//
// # What is guaranteed
//
//   - Every Waiter.Prepare is ended by exactly one Wake; the Wait that belongs to it returns exactly once.
//   - A command runs once per successful Worker.Command, in loop state, on the worker that it was sent to.
//   - The runs of one Task never overlap, and a Ready during a run is never lost.
//   - Priorities do not starve: of 8 picks at least one goes to Normal and of 32 at least one to Low, if there is work.
//   - A panic or runtime.Goexit in user code ends the coroutine or the run that it happened in, and nothing else.
//   - User code that blocks on something that the executor does not know holds its worker up for about
//     Config.StallAfter, not longer.
//   - Idle costs no CPU: a worker without work sits in one Poll, and the monitor is parked.
//   - A Scope's Wait returns only when everything that was started in it has ended and everything that it owns is closed.
//   - A coroutine that never has to wait yields when its budget is spent (Checkpoint).
//   - Suspending and resuming a coroutine, waking, commands and timers allocate nothing.
//
// # Who owns the memory
//
// Task, Command, Timer, Waiter and Coroutine are records that the caller embeds in something of its own. The executor
// keeps a pointer to them only while they are queued, armed or running.
//
// # What it needs and what it refuses
//
// It needs no particular kernel. On an architecture without a getg stub coroutines are ordinary goroutines. It knows
// nothing of sockets or rings. A coroutine that has called runtime.LockOSThread must not suspend: the Go runtime
// stops the whole process then. Spawn.Goroutine is for such code. Suspending inside a section panics.
package executor
