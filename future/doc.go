// Package future has results that are there or will be, and what can be made of them: in sequence (Then, Map, Chain,
// Recover, OrElse, Finally), of many (All, Zip, AllSettled, Any, Race) and by time (Timeout, Delay, Retry).
//
//	price := future.Go(ctx, func(ctx context.Context) (int, error) { return ask(ctx, "a") }).Timeout(time.Second)
//	best, err := future.Any(price, other).Await(ctx)
//
// # When to choose it, and when not
//
// Futures are for results that fan in: several requests at once of which all, or the first, or the first good one
// counts, each with its own time limit. Straight-line code on a coroutine is simpler whenever one thing follows
// another. For a sequence of values take package stream, for talking back and forth csp, for state actor; to start work
// and only wait for its end, executor's scopes.
//
// # Who may call, and where functions run
//
// Everything is safe from any goroutine or coroutine. Await suspends a coroutine and parks a goroutine. Go runs its
// function as a coroutine of the caller's worker when called on one, else on a goroutine. The functions given to Then
// and its relatives run on whichever goroutine settles the source, or on the caller's when it has settled; they should
// be short. None of it may be used in an executor's loop state.
//
// # What is guaranteed
//
//   - A future settles once, and every listener is told once. Chains of any length take constant stack.
//   - Cancel travels from a derived future to its sources, down to the context of the Go at the beginning, so that an
//     operation of the engine is cancelled in the kernel. The future settles when the operation has ended; only
//     Timeout, Race, Any and All settle before what they have cancelled.
//   - Errors keep their causes: errors.Is and errors.As work through every combinator. Where several errors make one,
//     all of them are in it. A panic becomes an *executor.PanicError with its stack, runtime.Goexit
//     executor.ErrGoexit.
//   - A step of Then, Map, Recover, Finally and Shield is one allocation; Await without a context that can end is none.
//
// # What it refuses
//
// A future has no way to be settled by its readers; that is Promise. Await on what the caller itself has to settle
// waits for ever. It needs no particular kernel.
package future
