package buffers

import (
	"fmt"
	"math"
	"sync/atomic"
)

// QuotaConfig configures Quota.Init.
type QuotaConfig struct {
	// Limit is the number of bytes that the owner may hold: default 0, which means no limit; at most 1<<62-1.
	Limit int
	// Low is the number of bytes at or below which an owner that went over its limit may go on: default Limit/2, 1 to
	// Limit. (Waiting for 0 is not on offer: an owner that keeps one small thing would wait for ever.)
	Low int
	// OnResume, if set, is called once each time an owner that went over its limit has come down to Low, on the
	// goroutine that released. It must be short and must not block.
	OnResume func()
}

// Quota bounds the bytes that one owner, a connection say, holds of buffers that others need too. The zero Quota has
// no limit and only counts; Init sets one. All methods but Init are safe from any goroutine, wait for nothing and
// allocate nothing. A Quota must not be copied once it is in use.
//
// There are two ways to be over the limit. Bytes that arrived cannot be refused: Acquire books them in any case and
// says "enough", whereupon the owner stops receiving until it is told to resume. Bytes that somebody asks for can:
// TryAcquire books them or refuses.
type Quota struct {
	// state is twice the bytes held, plus 1 while the owner is over its limit and not yet down to low again.
	state            atomic.Uint64
	limit, low       int
	onResume         func()
	peak             atomic.Uint64
	refused, overrun atomic.Uint64
}

// Init sets q's bounds. It must come before the first use.
func (q *Quota) Init(c QuotaConfig) error {
	if c.Limit < 0 || int64(c.Limit) > math.MaxInt64/2 {
		return fmt.Errorf("buffers: QuotaConfig.Limit is %d; give a number of bytes from 1 to 1<<62-1, or 0 for none", c.Limit)
	}
	if c.Low == 0 && c.Limit > 0 {
		c.Low = max(c.Limit/2, 1)
	}
	if c.Low < 0 || c.Low > c.Limit {
		return fmt.Errorf("buffers: QuotaConfig.Low is %d; give 1 to Limit (%d) bytes, or 0 for half of it", c.Low, c.Limit)
	}
	q.limit, q.low, q.onResume = c.Limit, c.Low, c.OnResume
	return nil
}

// Acquire books n bytes (0 or more) whatever the limit, and reports whether the owner may take more. False means
// that it is over the limit, or was and has not come down to Low since: it should pause, and go on when Release returns
// true or OnResume is called.
func (q *Quota) Acquire(n int) bool {
	if n < 0 {
		panic(fmt.Sprintf("buffers: quota asked for %d bytes", n))
	}
	for {
		old := q.state.Load()
		held := old>>1 + uint64(n)
		over := old & 1
		if q.limit > 0 && held > uint64(q.limit) {
			over = 1
		}
		if q.state.CompareAndSwap(old, held<<1|over) {
			q.note(held)
			if over > old&1 {
				q.overrun.Add(1)
			}
			return over == 0
		}
	}
}

// TryAcquire books n bytes (0 or more) if the owner then holds no more than the limit, and reports whether it did.
func (q *Quota) TryAcquire(n int) bool {
	if n < 0 {
		panic(fmt.Sprintf("buffers: quota asked for %d bytes", n))
	}
	for {
		old := q.state.Load()
		held := old>>1 + uint64(n)
		if q.limit > 0 && held > uint64(q.limit) {
			q.refused.Add(1)
			return false
		}
		if q.state.CompareAndSwap(old, held<<1|old&1) {
			q.note(held)
			return true
		}
	}
}

// Release gives n bytes back. It reports true, and calls OnResume, when an owner that had gone over its limit has come
// down to Low by this very call: exactly one of those who release is told. It panics when n is more than is held.
func (q *Quota) Release(n int) (resume bool) {
	for {
		old := q.state.Load()
		if n < 0 || uint64(n) > old>>1 {
			panic(fmt.Sprintf("buffers: quota given back %d bytes of %d", n, old>>1))
		}
		held := old>>1 - uint64(n)
		over := old & 1
		if held <= uint64(q.low) {
			over = 0
		}
		if q.state.CompareAndSwap(old, held<<1|over) {
			resume = over < old&1
			break
		}
	}
	if resume && q.onResume != nil {
		q.onResume()
	}
	return resume
}

func (q *Quota) note(held uint64) {
	for {
		p := q.peak.Load()
		if held <= p || q.peak.CompareAndSwap(p, held) {
			return
		}
	}
}

// Over reports whether the owner went over its limit and has not come down to Low since.
func (q *Quota) Over() bool { return q.state.Load()&1 != 0 }

// Held is the number of bytes booked.
func (q *Quota) Held() int { return int(q.state.Load() >> 1) }

// QuotaStats tells the state of a Quota.
type QuotaStats struct {
	// Limit and Low are the configuration, in bytes; Held is what is booked now, Peak the most that ever was.
	Limit, Low, Held, Peak int
	// Overruns counts the times that Acquire took the owner over its limit, Refused what TryAcquire refused.
	Overruns, Refused uint64
}

// Stats returns q's state. The fields are read one after another.
func (q *Quota) Stats() QuotaStats {
	return QuotaStats{Limit: q.limit, Low: q.low, Held: q.Held(), Peak: int(q.peak.Load()),
		Overruns: q.overrun.Load(), Refused: q.refused.Load()}
}
