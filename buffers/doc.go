// Package buffers owns the memory that operations read into and write from, and lends it out as leases that are
// released exactly once.
//
// Group holds equal buffers that receive operations fill: the kernel through a provided-buffer ring (6.0 or later),
// a reactor by taking one at a time. Pool holds slabs in size classes for everything else: writes, files, frames; with
// PoolConfig.Fixed in memory that rings can register.
// Quota bounds what one owner, a connection say, may hold of either. Wrap passes ordinary heap memory off as a lease.
//
// Who may call from where: Attach, Detach, Filled, Take, Put, Grow and Starve of a Group belong to the goroutine that
// runs its worker. Everything else, Lease.Release above all, is safe from any goroutine.
//
// Who owns the memory: the group or pool always; a lease is the right to use one buffer until its Release. Lease is a
// value: all copies and slices of it are the same right, and one Release of any of them ends it for all. The memory
// lies outside the Go heap: the collector neither scans nor frees it, and it never goes away under a lease, since a
// closed group or pool unmaps only what nobody holds.
//
// Guaranteed: a buffer is in one place at a time; a second Release of the same lease changes nothing and is counted
// (also when the buffer was lent to somebody else meanwhile, since each lending has its own generation). Filled, Take,
// Put, Get and Release allocate nothing, but for Get when it maps another span.
//
// Debug mode (SetDebug, or buffers in the comma-separated OURO_DEBUG) records where each lease was taken and released,
// panics at a double release and at the use of a released lease, fills released memory with 0xDB, and lists in Leaks
// who still holds what.
//
// Refused: no bounds beyond those of the configuration, no waiting (an empty pool answers so at once), no parsing, no
// sockets. Away from Linux the memory comes from the Go heap and the rest is the same.
package buffers
