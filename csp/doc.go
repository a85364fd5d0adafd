// Package csp has channels between coroutines, goroutines or both: Chan (bounded or rendezvous), Broadcast, Watch,
// Oneshot, and Select over any mix of sends, receives, timers, contexts and futures.
//
// # When to choose it
//
//   - One side of the channel is a coroutine of the engine. A Go channel that it waits for holds its worker up, which is
//     then handed over: correct, but slow.
//   - A send or receive must end with a context.
//   - Every receiver is to see every value (Broadcast), or only the latest (Watch).
//   - A select must take its cases in order of priority, or wait for futures.
//
// # When not
//
//   - Both sides are goroutines: Go's channels are built into the language and its select. FromGo and ToGo join the two.
//   - Data that many parties change in place: see package locks. Request and reply to one owner of state: see actors.
//
// # Who may call what
//
// Everything is safe from any goroutine or coroutine, except in the engine's own callbacks, unless a comment says
// otherwise. Values are the receiver's once received; a value that was not sent (ErrClosed, the end of a context) stays
// the sender's.
//
// # What is guaranteed
//
// A Chan is linearizable and first in, first out: values are received in the order in which they were sent, and parties
// that wait are served in the order of coming. Closing means what it means for Go's channels; the methods that return
// an error return ErrClosed where Go's channels panic. A send or receive whose context ends has either happened, and
// returns nil, or has not. Select does exactly one of its cases. Everything that can queue is bounded by a capacity, but
// for the parties that wait. Sending, receiving and selecting allocate nothing, except that a party that has to wait on a
// coroutine with a context that can end needs a few words.
//
// No particular kernel is needed.
package csp
