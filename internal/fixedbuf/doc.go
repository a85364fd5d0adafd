// Package fixedbuf registers the memory of a buffers.Pool with a ring, chunk by chunk as operations first use it, so that the
// kernel pins it once and not for each operation.
//
// Who may call: a Table belongs to whom the ring belongs to; only its Stats are for any goroutine. Who owns the memory: the
// pool. The kernel holds the pages of what is registered until the ring is closed, whatever becomes of the pool.
//
// Registered memory counts against RLIMIT_MEMLOCK, as rings do on some kernels. So a process without CAP_IPC_LOCK uses a
// quarter of the limit for it, all tables together; what is beyond is not registered, and its operations are ordinary ones.
// Needs Linux 5.19 (sparse tables); without them nothing is registered, and Reason says why.
package fixedbuf
