// Package simkernel is a kernel in memory, for tests: sockets for streams and datagrams, a network between them, disk
// files, and an op.Backend on it.
//
// A Kernel decides nothing by itself. Whatever the real one may do in one order or another, early or late, whole or in
// part, it asks its Chooser; so a run is a function of the Chooser's answers, as long as one goroutine at a time acts.
// The answer 0 is always the dullest: no fault, all that fits, the oldest first.
//
// Things happen only inside Backend.Poll (and for a caller that waits in one of the Kernel's own calls): the network
// moves bytes, operations complete, agents take a step. Poll sleeps only when nothing at all can happen, on a Go timer
// and a channel; inside a bubble of testing/synctest virtual time passes there and nowhere else.
//
// Sockets are byte-exact TCP: bounded buffers on both sides of a network that delays and cuts, end of file behind the
// data, resets that destroy what was under way, half-close, a backlog, descriptors that are shared, counted and used
// again at once. What operations may return is modelled after io_uring: short transfers, EINTR, ECANCELED that nobody
// asked for, ENOBUFS, multishots that end at any completion, a completion queue that overflows, cancels that find
// nothing or come too late, late completions under old identities, and sends without a copy, whose memory is read when the bytes
// leave and lent until a notification says otherwise.
//
// The Kernel also watches its user: a descriptor that is closed while an operation uses it, memory that is written after
// it was given to the kernel, a completion that nobody may get. It collects such violations; see Kernel.Violations.
//
// Safe for concurrent use where op.Backend and op.System are. Needs no kernel of its own and opens no descriptor. It
// refuses operations that it does not know.
package simkernel
