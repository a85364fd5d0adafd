// Package leaktest has a package's tests fail when they leave a goroutine or a descriptor behind. Only tests import it:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
//
// Descriptors are counted by /proc, so elsewhere than on Linux only goroutines are looked for. Pipes are left out: package net
// of the standard library keeps those that it splices through. What the runtime opens for its poller is opened before the
// first count. Anything else counts, rings and epoll instances as well.
package leaktest
