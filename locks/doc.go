// Package locks has locks that coroutines and goroutines wait for without holding a worker up, and that every wait for
// can be given up by a context: Mutex, RWMutex, Semaphore, Cond, WaitGroup and Once.
//
// # When to choose it
//
//   - The lock is held while a coroutine suspends (across a Read, a channel operation, another lock). A sync.Mutex held
//     so blocks the worker of the next who wants it, which is then handed over: correct, but slow.
//   - The wait must end with a context or a deadline.
//   - Waiters are to be served in order.
//   - Weighted permits: Semaphore.
//
// # When not
//
//   - A few memory accesses that never suspend: sync.Mutex is as good, and shorter to wait for when other threads hold it.
//   - Data that one party could own: a csp.Chan or an actor needs no lock.
//
// # Who may call what
//
// Everything is safe from any goroutine or coroutine, except in the engine's own callbacks. A lock belongs to nobody in
// particular: it may be locked here and unlocked there. None of them is reentrant. The zero values work (Semaphore and
// Cond have a constructor); no value may be copied after its first use.
//
// # What is guaranteed
//
// Parties are served first in, first out, except by a Mutex with Barging, and by an RWMutex as its comment says. A
// context that ends takes its party out of the queue and nothing else: a lock, a permit or a signal that was given to it
// before that is either used by it (the call succeeds) or was never given, so that nothing is lost and nobody waits for
// ever because another gave up. A call with a context that has ended already does nothing. Waiting on a coroutine
// allocates nothing without a context, and a few words with one that can end.
//
// No particular kernel is needed.
package locks
