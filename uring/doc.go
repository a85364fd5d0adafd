// Package uring drives one Linux io_uring instance: it sets the ring up, maps it, prepares entries, enters the
// kernel, walks completions and registers resources. It has no policy and starts no goroutine; which flags to ask
// for, when to submit and what a completion means are its caller's affair.
//
// Who may call from where. A Ring belongs to one caller at a time: GetSQE, Next, PublishHead, SubmitAndWait,
// SubmitAndReap, every Register function and Close must not run concurrently. Ready, Overflowed, TaskrunPending, FD
// and the functions that return what Setup found out are safe from any goroutine as long as the ring is open. A ring
// with SetupSingleIssuer belongs to one OS thread: the kernel answers EEXIST to any other, so lock the goroutine.
// Probes (Available, Supports, ProbeFeatures) are safe from any goroutine.
//
// Who owns the memory. The rings are mapped from the kernel and released by Close, as is the memory of provided
// buffer rings. An SQE from GetSQE is the caller's until the next SubmitAndWait or SubmitAndReap. Everything whose
// address an SQE carries (buffers, addresses, paths, timespecs, message headers) is the kernel's from then until the
// terminal completion: the caller keeps it reachable and unchanged. The garbage collector does not see addresses
// inside an SQE. Prep functions make sure that such memory is not on a stack, which could move.
//
// Guarantees. An entry that the kernel did not accept stays queued and goes with the next submission. Completions
// are never lost where FeatNoDrop is set (Linux 5.5). The descriptor is close-on-exec and the mappings are not
// inherited by children. Errors of functions that return error wrap syscall.Errno and name cause and remedy; hot
// functions return a bare syscall.Errno.
//
// Kernel needed: 5.4 to set up a ring (one mapping for both queues); what else is there is asked of the kernel by
// trial, never concluded from its version. ProbeFeatures returns the whole table.
//
// Refused: SQPOLL, IOPOLL, 128-byte SQEs, 32-byte and mixed CQEs, application-provided ring memory, SQ rewind. They
// need another way of driving the ring; Supports tells whether the kernel has them.
//
// Sources: io_uring_setup(2), io_uring_enter(2), io_uring_register(2), io_uring(7) and linux/io_uring.h.
package uring
