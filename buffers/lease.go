package buffers

import (
	"fmt"
	"sync/atomic"
)

// record is the state of one buffer. Its group, or its pool's span, preallocates it and keeps it for good.
//
// The generation says who may end a lease: it is odd while the buffer is lent and even while it is not. Lending adds
// one, and so does the Release whose compare-and-swap wins; between that swap and home.put the releaser owns the
// record alone. At 64 bits it never wraps round, so a lease that is stale stays so.
//
// Owners of the fields: mem, home and id are set before the first lease and do not change until the memory is unmapped;
// where belongs to home, under its lock; quota, charged and traced to whoever holds the lease.
type record struct {
	mem     []byte
	home    home
	gen     atomic.Uint64
	quota   *Quota
	charged uint32
	id      uint16
	where   place
	traced  bool
}

// home is where a buffer goes when it is released.
type home interface {
	// put takes the buffer back. It is called once per lease, from any goroutine, without locks.
	put(*record)
	// twice counts a Release that came too late. Any goroutine.
	twice()
	// kind names the home in reports of debug mode.
	kind() string
	// owned reports whether the memory is the home's own, so that debug mode may overwrite it.
	owned() bool
}

// place says where a buffer is.
type place uint8

const (
	placeFree   place = iota // on a free list
	placeKernel              // provided to the kernel
	placeTaken               // with a reactor, between Take and Filled or Put
	placeLeased              // with the holder of a lease
)

var placeNames = [...]string{"free", "with the kernel", "taken", "leased"}

func (p place) String() string { return placeNames[p] }

// Lease is the right to use one buffer, or a part of it. It is a value of 32 bytes; copies and slices share the one
// right, so that exactly one Release among all of them counts. The zero Lease holds nothing.
//
// A lease may be handed from goroutine to goroutine, and Release may come from any. It is not a lock: who shares a
// lease must see to it that nobody uses the bytes once somebody releases.
type Lease struct {
	r   *record
	gen uint64
	off int
	n   int
}

// lend makes r's buffer leased and returns the lease of its first n bytes. The caller holds home's lock, or owns r.
func (r *record) lend(n int) Lease {
	return Lease{r: r, gen: r.gen.Add(1), n: n}
}

// Wrap returns a lease of p, for interfaces that take leases. It costs one small allocation. The memory stays the
// caller's: releasing only lets go of it, and debug mode does not overwrite it.
func Wrap(p []byte) Lease { return wrap(p, wrapped{}) }

// WrapFunc is Wrap that tells of the Release: it calls released, once, on whichever goroutine releases. That may be an engine's
// worker with a connection's lock held, so released must be short, must not wait, and must not use a connection. It panics if
// released is nil: use Wrap.
func WrapFunc(p []byte, released func()) Lease {
	if released == nil {
		panic("buffers: WrapFunc with a nil function: use Wrap")
	}
	return wrap(p, wrappedFunc{released: released})
}

func wrap(p []byte, h home) Lease {
	r := &record{mem: p, home: h, where: placeLeased}
	l := r.lend(len(p))
	if debugging.Load() {
		traceTaken(r)
	}
	return l
}

// Valid reports whether l is more than the zero Lease. It says nothing about whether l was released.
func (l Lease) Valid() bool { return l.r != nil }

// Len is the number of bytes that Bytes returns.
func (l Lease) Len() int { return l.n }

// Held is the number of bytes that stay lent because of l: the whole buffer, however little of it l shows. This is
// what a quota that bounds memory should be charged.
func (l Lease) Held() int {
	if l.r == nil {
		return 0
	}
	l.check()
	return len(l.r.mem)
}

// Bytes returns the leased bytes, nil for the zero Lease. Its capacity ends with the lease, so that an append copies
// rather than runs into what follows. Using the bytes after Release is an error that only debug mode notices (with a
// panic): they belong to somebody else by then.
func (l Lease) Bytes() []byte {
	if l.r == nil {
		return nil
	}
	l.check()
	return l.r.mem[l.off : l.off+l.n : l.off+l.n]
}

// Slice returns the same lease narrowed to the bytes from (inclusive) to to (exclusive) of l. It takes nothing away
// from l: both are one lease, to be released once. Like a slice expression it panics when the bounds are outside l.
func (l Lease) Slice(from, to int) Lease {
	if from < 0 || to < from || to > l.n {
		panic(fmt.Sprintf("buffers: slice [%d:%d] of a lease of %d bytes", from, to, l.n))
	}
	l.off += from
	l.n = to - from
	return l
}

// Charge books n bytes on q until l is released, and reports whether q is within its limit afterwards; see
// Quota.Acquire. A lease is charged once at most: a second Charge panics, as does one of the zero Lease, one after Release,
// or an n below zero or above 4 GiB. Not to be called at the same time as Release.
func (l Lease) Charge(q *Quota, n int) bool {
	if l.r == nil {
		panic("buffers: charge of the zero lease")
	}
	l.check()
	if l.r.gen.Load() != l.gen { // it would be a charge of whoever has the buffer now, or next
		panic("buffers: charge of a released lease")
	}
	if l.r.quota != nil {
		panic("buffers: lease charged twice; one quota per lease")
	}
	if n < 0 || int64(n) > 1<<32-1 {
		panic(fmt.Sprintf("buffers: charge of %d bytes; from 0 to 4 GiB", n))
	}
	l.r.quota, l.r.charged = q, uint32(n)
	return q.Acquire(n)
}

// Release gives the buffer back; the bytes must not be touched any more. Of all the copies and slices of a lease one
// is to be released, once. A second Release changes nothing and is counted in the statistics; in debug mode it panics
// with the stacks of both. Releasing the zero Lease does nothing. Any goroutine.
func (l Lease) Release() {
	r := l.r
	if r == nil {
		return
	}
	if !r.gen.CompareAndSwap(l.gen, l.gen+1) {
		l.twice()
		return
	}
	if r.traced || debugging.Load() {
		traceReleased(r)
	}
	// The record may be lent again once it is home, so the charge is read before. It is credited after, so that who is
	// told to go on finds the buffer back.
	q, n := r.quota, int(r.charged)
	r.quota = nil
	r.home.put(r)
	if q != nil {
		q.Release(n)
	}
}

// twice is apart from Release to leave it a small frame: idle coroutines have released a lease at their deepest.
//
//go:noinline
func (l Lease) twice() {
	l.r.home.twice()
	doubleReleases.Add(1)
	if debugging.Load() {
		panic("buffers: " + l.r.home.kind() + " lease released twice" + l.history())
	}
}

// check panics in debug mode when l was released.
func (l Lease) check() {
	if debugging.Load() && l.r.gen.Load() != l.gen {
		panic("buffers: " + l.r.home.kind() + " lease used after its release" + l.history())
	}
}

var doubleReleases atomic.Uint64

// DoubleReleases counts the releases that came too late in the whole process, those of Wrap included. Tests compare
// it with 0. Any goroutine.
func DoubleReleases() uint64 { return doubleReleases.Load() }

// wrapped is the home of memory that Wrap was given: nowhere, the collector does the rest.
type wrapped struct{}

func (wrapped) put(*record)  {}
func (wrapped) twice()       {}
func (wrapped) kind() string { return "wrap" }
func (wrapped) owned() bool  { return false }

// wrappedFunc is the home of memory that WrapFunc was given.
type wrappedFunc struct {
	wrapped
	released func()
}

func (w wrappedFunc) put(*record) { w.released() }
