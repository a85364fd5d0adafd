// Package ringbackend performs operations on an io_uring: the fast one of the engine's backends.
//
// One Backend is one ring with its provided-buffer ring, for one worker. The goroutine that runs the worker is not
// locked to a thread, so the ring is set up without SINGLE_ISSUER and with COOP_TASKRUN: completions are not forced
// upon the worker by interrupts, they wait for its next entry into the kernel.
//
// The price of unlocked workers is that an operation stays with the thread that submitted it. The backend notices
// when its worker has moved to another thread (one gettid per turn), and ends a multishot that still belongs to the
// old one at its next completion; the owner sees an ECANCELED that it did not ask for and arms again, now here. The
// same happens by itself when the old thread exits.
//
// Memory: the ring and the buffer ring's entries are mapped by package uring, the buffers by package buffers; Close
// drains, then closes the ring, then gives the memory back. Kernel: 6.1 or newer (Setup's error tells what lacks).
package ringbackend
