// Package stream has sequences of values that are made on demand, with operators, sources and sinks over connections,
// files, channels, time, and Go's own iterators.
//
//	lines := stream.Lines(stream.Read(conn), 0)
//	good := stream.Own(lines).Filter(wanted)
//	results := stream.MapConcurrent(good, 8, lookup)
//	_, err := stream.Write(ctx, stream.WithDelimiter(results, '\n'), conn)
//
// # When to choose it, and when not
//
// Streams are for data that flows through stages at its consumer's pace: parsing what a connection brings, fan-out with
// a bound, gathering by count or time, rate limits. A plain loop is simpler for one stage, and faster where the work per
// value is a few nanoseconds (docs/choosing.md has figures). For parties that talk back and forth take package csp, for
// single results future, for state with many clients actor.
//
// # Demand and backpressure
//
// A Stream is a function that calls yield for each value, and makes the next one only when yield has returned. So demand
// travels from the sink to the source by itself: a sink that stops stops everything before it, a connection is not read
// any more, its quota of buffers fills, its receive is paused, TCP's window closes, and the peer waits. Operators with
// something concurrent (Buffer, Merge, MapConcurrent, Tee, Gather and those by time) add a bounded number of values each,
// which their comments say.
//
// # Who may call, and where things run
//
// A stream runs where its sink is called, on a goroutine or a coroutine, and yields there. The concurrent operators start
// their parts beside it: on a coroutine, as coroutines of the same worker, which suspend rather than block; elsewhere as
// goroutines. When the run returns they have ended (a branch of Tee, Partition and GroupBy may end before its source,
// which ends with the last branch). A Stream value may be shared and run concurrently if its source can.
//
// # Who owns the memory
//
// Chunks and frames ([]byte) are borrowed: they are valid until yield returns, and must be copied (Own) before an
// operator that keeps values or runs concurrently, such as Buffer, Batch, MapConcurrent, Merge or Collect. In return nothing is
// copied on the way from the kernel's buffer to the function that looks at a frame, unless the frame straddles two
// buffers. A buffers.Lease belongs to whoever gets it. An operator that discards a value that has a method Release
// calls it: values that Filter, Skip or Debounce leave out, and those on their way when a stream ends early.
//
// # What is guaranteed
//
// The rules at Stream. Values are neither lost nor doubled nor reordered, except as an operator's comment says. Errors
// pass unchanged; a panic in a concurrent part becomes an *executor.PanicError, one on the sink's own goroutine passes
// through once all parts have ended. Map, Filter, Fold and the other sequential operators allocate nothing per value.
//
// It needs no particular kernel, and refuses bounds below one with a panic where a stream is built.
package stream
