// Package natsremote makes actors of package actor reachable from other processes, over NATS.
//
// It is for processes that already have, or can have, a NATS server between them; within one process a Ref does all of
// this without a codec. By default a Node brings a server of its own (the nats-server module, in the process), which
// others connect to by its URL; with Config.URL it uses one that is there.
//
//	node, err := natsremote.Connect(natsremote.Config{})                       // in one process
//	stop, err := natsremote.Expose(node, "account", ref, natsremote.JSON[Deposit]())
//
//	node, err := natsremote.Connect(natsremote.Config{URL: url})               // in another
//	account := natsremote.To(node, "account", natsremote.JSON[Deposit]())
//	err = account.Ref().Tell(Deposit{3})           // at most once
//	err = account.TellAcked(ctx, Deposit{3})       // nil once it is in the actor's mailbox
//
// # What is guaranteed
//
// Tell is at most once: what is published while the connection is down, or while nobody listens, may be lost in silence.
// TellAcked says whether the message has reached the mailbox; an error means that it may or may not have, so a message that
// is sent again (future.Retry) may come twice. What one sender tells and asks under one name keeps its order; two names are
// two ways, also to the same actor. When the server restarts, nodes come back by themselves and their actors are reachable
// again; nothing is kept on disk.
//
// Everything is safe from any goroutine or coroutine. TellAcked, and to await the future of Ask, suspend a coroutine. Connect,
// Expose, ExposeAsk, their stop, Flush and Close wait in NATS's client, which knows nothing of coroutines: they block the
// goroutine, or the coroutine's worker until another takes over its work. So does what sends, while the server takes no more.
//
// Errors of the other side come as *RemoteError. NATS limits a message to 1 MiB by default. There is no encryption or
// authentication unless Config.Options and the server have it: on an untrusted network use an external server that has.
package natsremote
