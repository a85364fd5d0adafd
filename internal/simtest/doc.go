// Package simtest runs random programs on the real engine, executor and net, on the simulated kernel of package
// simkernel, and holds every byte and every end against a model. It has tests only.
//
// A run is a function of a tape of numbers: what the program does, what its peers do, what the kernel does and when. So a
// run that fails is repeated exactly by its seed, and made smaller by making its tape smaller.
//
//	go test ./internal/simtest                                  some hundreds of seeds, of streams, files, datagrams, two workers and sends without a copy
//	go test -run Sim ./internal/simtest -sim.seeds=1000000      more
//	go test -run Sim ./internal/simtest -sim.seed=42            one, with its trace
//
// How determinism is reached: one worker, or two that act by turns, so that one goroutine takes all decisions; programs are
// coroutines on it, or goroutines that take a step only when the worker, inside a Poll, tells them to and waits until they
// have come to rest (testing/synctest knows when). Everything lives in a bubble of testing/synctest, where time passes only
// when nobody can do anything.
package simtest
