//go:build linux

package file

import (
	"runtime"
	"sync"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/fixedbuf"
	"github.com/ouro-io/ouro/uring"
)

// Batches of ordinary goroutines go through small rings of their own: the goroutine takes one, submits its operations and
// waits for all of them in the same system call, and puts the ring back. Nobody has to be woken in between, so such a read
// costs about what it costs a C program. What is in the page cache is done within the submission.
//
// Owners. A ring belongs to one batch at a time, with everything in flight on it; a batch returns when nothing is. The file
// read last stays registered with its ring, which spares the kernel its look-up, so Close takes it out (forget), or whoever
// holds the ring then does when putting it back. mu guards the list and what is registered with the rings on it.
type batchRings struct {
	mu    sync.Mutex
	idle  []*batchRing
	made  int
	all   []*batchRing
	none  bool // a ring could not be made, or fs was closed
	limit uint32
	pool  *buffers.Pool // registered with each; nil for none
}

type batchRing struct {
	ring  *uring.Ring
	fixed fixedbuf.Table
	last  *File // in slot 0
}

// batchEntries is how many operations of a batch are in flight at a time.
const batchEntries = 256

// take returns a ring, nil when all are in use.
func (rs *batchRings) take() *batchRing {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if n := len(rs.idle); n > 0 {
		r := rs.idle[n-1]
		rs.idle = rs.idle[:n-1]
		return r
	}
	if rs.none || rs.made >= 2*runtime.GOMAXPROCS(0) {
		return nil
	}
	ring, err := uring.Setup(uring.Params{Entries: batchEntries, Flags: uring.SetupClamp | uring.SetupSubmitAll})
	if err == nil {
		if err = ring.RegisterFilesSparse(1); err == nil {
			_, _, err = ring.RegisterIOWQMaxWorkers(rs.limit, 0)
		}
		if err != nil {
			_ = ring.Close()
		}
	}
	if err != nil {
		rs.none = true // the engine's ring does as well
		return nil
	}
	rs.made++
	r := &batchRing{ring: ring}
	r.fixed.Init(ring, rs.pool)
	rs.all = append(rs.all, r)
	return r
}

// registered is how many operations had their memory registered.
func (rs *batchRings) registered() (n uint64) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.all {
		n += r.fixed.Stats().Used
	}
	return n
}

// fixedReason says why memory was not registered, empty where it was.
func (rs *batchRings) fixedReason() string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.all {
		if s := r.fixed.Reason(); s != "" {
			return s
		}
	}
	return ""
}

func (r *batchRing) close() {
	_ = r.ring.Close()
	r.fixed.Closed()
}

// put takes r, on which nothing is in flight, back.
func (rs *batchRings) put(r *batchRing) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.none {
		r.close()
		return
	}
	if r.last != nil && r.last.gate.closed() {
		r.forget()
	}
	rs.idle = append(rs.idle, r)
}

func (r *batchRing) forget() {
	_, _ = r.ring.UpdateFiles(0, []int32{-1})
	r.last = nil
}

// forget lets go of f, whose gate is shut.
func (rs *batchRings) forget(f *File) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.idle {
		if r.last == f {
			r.forget()
		}
	}
}

func (rs *batchRings) close() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.none = true
	for _, r := range rs.idle {
		r.close()
	}
	rs.idle = nil
}

// run performs what is unfinished of ios on r. Results are as those of an operation each: short ones, EINTR and ECANCELED are
// for the caller to go on with. It reports false when the ring broke, and is not to be used again.
func (r *batchRing) run(f *File, d *direction, ios []IO) bool {
	if r.last != f {
		if n, err := r.ring.UpdateFiles(0, []int32{int32(f.fd)}); err != nil || n != 1 {
			return false
		}
		r.last = f
	}
	next, flying := 0, uint32(0)
	for next < len(ios) || flying > 0 {
		for ; next < len(ios) && flying+r.ring.Queued() < batchEntries; next++ {
			b := &ios[next]
			if !b.unfinished() {
				continue
			}
			sqe := r.ring.GetSQE()
			if sqe == nil {
				break
			}
			p := b.P[b.N:min(len(b.P), b.N+maxTransfer)]
			r.prepare(sqe, d, p, b.Off+int64(b.N))
			sqe.Flags, sqe.UserData = uring.SQEFixedFile, uint64(next)
		}
		flying += r.ring.Queued()
		if flying == 0 {
			break
		}
		_, errno := r.ring.SubmitAndWait(flying, -1)
		flying -= r.ring.Queued()
		flying -= r.reap(f, d, ios)
		switch errno {
		case 0, syscall.EINTR, syscall.EAGAIN, syscall.EBUSY:
		default:
			return false
		}
	}
	runtime.KeepAlive(ios)
	return true
}

// prepare makes the entry of a transfer of the registered file.
func (r *batchRing) prepare(sqe *uring.SQE, d *direction, p []byte, off int64) {
	place, fixed := r.fixed.Place(p)
	switch {
	case d == reading && fixed:
		sqe.PrepReadFixed(0, p, off, place)
	case d == reading:
		sqe.PrepRead(0, p, off)
	case fixed:
		sqe.PrepWriteFixed(0, p, off, place)
	default:
		sqe.PrepWrite(0, p, off)
	}
}

// reap notes what has completed, and returns how many that were.
func (r *batchRing) reap(f *File, d *direction, ios []IO) (n uint32) {
	for {
		cqe, ok := r.ring.Next()
		if !ok {
			break
		}
		n++
		b := &ios[cqe.UserData]
		if cqe.Res >= 0 {
			b.took(f, d, cqe.Res, 0)
		} else {
			b.took(f, d, 0, syscall.Errno(-cqe.Res))
		}
	}
	r.ring.PublishHead()
	return n
}
