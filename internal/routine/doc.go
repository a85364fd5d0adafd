// Package routine starts the concurrent parts of an adaptor where its caller runs, and wakes them by time.
//
// The adaptors (future, stream, actor) work on coroutines and on ordinary goroutines. What they start goes where their
// caller is: from a coroutine, another coroutine of the same worker; from a goroutine, a goroutine. The same holds for
// time: a worker's timer, or the runtime's.
//
// Everything is safe from any goroutine unless its comment says otherwise. Nothing here needs a particular kernel.
package routine
