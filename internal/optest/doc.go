// Package optest checks that an op.Backend keeps the contract of package op, on real loopback sockets.
//
// Every backend runs the same suite:
//
//	func TestContract(t *testing.T) {
//		optest.Run(t, func(t testing.TB, b buffers.GroupConfig) op.Backend { … })
//	}
//
// The checks are written against the interface alone. They allow what the contract allows: a multishot may end at any
// completion, a send may be partial, an operation may end with "submit again". No check depends on timing; the limit
// on each wait is a guard against hanging.
//
// Only tests import this package. The goroutine that runs a test is the backend's worker; a backend that needs one
// thread for its life locks it in its constructor and unlocks it in t.Cleanup.
package optest
