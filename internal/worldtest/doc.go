// Package worldtest has what the tests of the adaptors (csp, locks, future, stream, actor) share: they promise the same on
// goroutines and on coroutines of any number of workers, so each of their tests runs in all of these worlds. Only tests import
// it.
//
// Each runs a test of several parties in every world, and waits for them. OnEachSide runs a test of one party. Cancel calls
// every function that waits with a context that ends; Contexts lists those functions by reading the sources, so that none is
// forgotten. A test that hangs fails after Hang, which decides nothing else.
package worldtest
