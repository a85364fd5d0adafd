//go:build linux

package optest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ouro-io/ouro/internal/op"
)

var waitChecks = []check{
	{name: "Poll(0) does not wait", run: pollZero},
	{name: "Poll waits its time", run: pollTimeout},
	{name: "Poll delivers before its time is over", run: pollEarly},
	{name: "Wake before Poll", run: wakeBefore},
	{name: "Wake during Poll", run: wakeDuring},
	{name: "Wake is never lost", run: wakeStress},
	{name: "Wake when long asleep", run: wakeAsleep},
}

func pollZero(r *rig) {
	fd, _ := r.pair()
	for range 2 {
		r.guarded("Poll(0)", func() {
			n, err := r.b.Poll(0)
			r.NoError(err)
			r.Zero(n)
		})
		if r.b.InFlight() == 0 {
			r.submit(r.op(op.Recv, fd))
		}
	}
}

func pollTimeout(r *rig) {
	fd, _ := r.pair()
	r.submit(r.op(op.Recv, fd))
	for _, d := range []time.Duration{time.Microsecond, 300 * time.Microsecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		start := time.Now()
		n, err := r.b.Poll(d)
		r.NoError(err)
		r.Zero(n)
		r.GreaterOrEqual(time.Since(start), d)
	}
}

func pollEarly(r *rig) {
	fd, peer := r.pair()
	w := r.submit(r.op(op.Recv, fd))
	r.guarded("Poll", func() {
		r.write(peer, []byte("x"))
		for len(w.got) == 0 {
			_, err := r.b.Poll(-1)
			r.NoError(err)
		}
	})
	r.Equal("x", string(w.data))
}

func wakeBefore(r *rig) {
	for range 3 {
		r.b.Wake()
		r.b.Wake()
		r.guarded("Poll after Wake", func() {
			_, err := r.b.Poll(-1)
			r.NoError(err)
		})
	}
}

func wakeDuring(r *rig) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		time.Sleep(2 * time.Millisecond) // likely, not surely, inside Poll: both must work
		r.b.Wake()
	})
	r.guarded("Poll", func() {
		_, err := r.b.Poll(-1)
		r.NoError(err)
	})
}

// wakeStress: other goroutines leave a note and wake; the worker waits without limit until it has read every note. A
// lost wake-up stops it for good.
func wakeStress(r *rig) {
	const wakers = 4
	notes := 500
	if testing.Short() {
		notes = 50 // an emulated machine takes tens of milliseconds for a note
	}
	var left, read atomic.Int64
	var wg sync.WaitGroup
	for range wakers {
		wg.Go(func() {
			for range notes {
				mine := left.Add(1)
				r.b.Wake()
				// Every other time it waits for the worker, so that this one falls asleep in between.
				for mine%2 == 0 && read.Load() < mine {
					time.Sleep(time.Microsecond)
				}
			}
		})
	}
	r.guarded("waiting for notes", func() {
		for read.Load() < int64(wakers*notes) {
			_, err := r.b.Poll(-1)
			r.NoError(err)
			read.Store(left.Load())
		}
	})
	wg.Wait()
}

// wakeAsleep gives the backend time to enter its deepest wait.
func wakeAsleep(r *rig) {
	for _, d := range []time.Duration{time.Millisecond, 5 * time.Millisecond, 30 * time.Millisecond} {
		timer := time.AfterFunc(d, r.b.Wake)
		r.guarded("Poll", func() {
			_, err := r.b.Poll(-1)
			r.NoError(err)
		})
		timer.Stop()
	}
}
