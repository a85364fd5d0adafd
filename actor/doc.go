// Package actor has actors: each with a mailbox of typed messages, a state that nobody else touches, and a parent that
// deals with its failures.
//
//	sum := actor.Props[Add]{New: func(c *actor.Context[Add]) (actor.Behavior[Add], error) {
//		total := 0
//		return func(c *actor.Context[Add], m Add) error { total += m.N; m.Reply.Send(total); return nil }, nil
//	}}
//	ref, err := actor.Spawn(system, sum)
//	total, err := actor.Ask(ref, time.Second, func(r actor.Reply[int]) Add { return Add{2, r} }).Await(ctx)
//
// # When to choose it, and when not
//
// Actors are for state that many talk to and that outlives its failures: sessions, devices, rooms, connections. Where
// there is no state of its own a function on a coroutine is simpler; for a state with a few fields take a mutex of package
// locks; for data that flows through stages, package stream; for one party that waits for another, csp. Beyond one process
// module actor/natsremote makes actors reachable over NATS.
//
// # Who may call
//
// A System and a Ref are safe from any goroutine or coroutine. A Context belongs to the actor's own coroutine, on which New,
// the behaviors and Stopped run; it suspends where they wait, and messages gather. Tell and Ask must not be used in an
// executor's loop state if the mailbox's Overflow is Wait.
//
// # What is guaranteed
//
//   - An actor handles one message at a time, and what it did for one happens before what it does for the next. Different
//     actors run on all workers.
//   - Delivery is at most once, and in order for one sender. What reaches nobody is a dead letter, which is counted and can
//     be seen.
//   - A mailbox is bounded; Overflow says what happens to more. Messages of timers, watches and pipes, of which each has at
//     most one under way, do not count.
//   - An error or panic suspends the actor with its mailbox until its parent's Supervision has decided. A restart ends
//     its children, timers and watches and makes its state anew; the message that it failed at is not handled again.
//   - The end of an actor is known to whoever watches it, fails the Asks that wait for it, and comes after that of its
//     children. Drain handles what waits before; Shutdown drains all.
//   - Tell allocates nothing once the mailbox has grown.
//
// Messages are passed as they are: who sends a pointer must not use what it points to any more. It needs no particular
// kernel.
package actor
