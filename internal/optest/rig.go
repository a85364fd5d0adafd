//go:build linux

package optest

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/stretchr/testify/require"
)

// hangs is how long something may take that the contract says will happen.
const hangs = 30 * time.Second

// A rig is a backend under test with the descriptors used on it. At the end of its test it closes both and checks
// that nothing is left: no operation, no descriptor, no lease.
type rig struct {
	*require.Assertions
	t      testing.TB
	make   New
	b      op.Backend
	sys    Sockets
	fds    map[int]bool
	before int
}

func newRig(t testing.TB, make New, pool buffers.GroupConfig) *rig {
	warm(t)
	r := &rig{Assertions: require.New(t), t: t, make: make, fds: map[int]bool{}, before: countFDs(t)}
	// Registered first, so that it runs after what the constructor registers; the backend is closed before both.
	t.Cleanup(r.checkFDs)
	r.b = make(t, pool)
	r.sys = socketsOf(r.b)
	t.Cleanup(r.tearDown)
	return r
}

func (r *rig) tearDown() {
	err := r.b.Close()
	for fd := range r.fds {
		r.sys.Close(fd)
	}
	if r.t.Failed() {
		return
	}
	r.NoError(err, "Close")
	r.Zero(r.b.InFlight(), "operations in flight after Close")
	s := r.b.Stats()
	r.GreaterOrEqual(s.Completed, s.Submitted, "each accepted operation completes at least once")
}

func (r *rig) checkFDs() {
	if r.t.Failed() {
		return
	}
	// The kernel may release what a ring held a moment after its close.
	for end := time.Now().Add(hangs); countFDs(r.t) != r.before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	r.Equal(r.before, countFDs(r.t), "descriptors leaked")
}

// warm makes the Go runtime open the descriptors of its own poller, which stay.
func warm(t testing.TB) {
	p, w, err := os.Pipe()
	require.NoError(t, err)
	p.SetReadDeadline(time.Now())
	p.Close()
	w.Close()
}

func countFDs(t testing.TB) int {
	d, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(d)
}

// until polls until done reports true.
func (r *rig) until(what string, done func() bool) {
	r.t.Helper()
	for end := time.Now().Add(hangs); !done(); {
		_, err := r.b.Poll(10 * time.Millisecond)
		r.NoError(err)
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			r.t.Fatalf("waited in vain for: %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

// idle polls until nothing more comes.
func (r *rig) idle() {
	for range 3 {
		for {
			n, err := r.b.Poll(time.Millisecond)
			r.NoError(err)
			if n == 0 {
				break
			}
		}
	}
}

// guarded calls f, which must return by itself. When it hangs it is woken and the test fails; when not even that helps
// the process ends, since nobody can end another goroutine.
func (r *rig) guarded(what string, f func()) {
	r.t.Helper()
	last := time.AfterFunc(hangs+hangs/2, func() { panic("optest: cannot be woken: " + what) })
	defer last.Stop()
	guard := time.AfterFunc(hangs, r.b.Wake)
	f()
	r.True(guard.Stop(), "%s did not return", what)
}

// told is a completion as a watched operation was told it.
type told struct {
	result int32
	errno  syscall.Errno
	more   bool
}

// A watched operation records what it is told and checks what holds for every completion. It follows the contract's
// advice: "again" and the early end of a multishot make it submit again.
type watched struct {
	op.Op
	r       *rig
	got     []told
	data    []byte          // received so far
	msgs    []gotMsg        // by a RecvMsg
	keep    bool            // keep the leases
	leases  []buffers.Lease // kept
	on      func(told)      // called last
	pending int             // 1 while in flight
	inside  bool            // in Complete
}

func (r *rig) op(k op.Kind, fd int) *watched {
	w := &watched{r: r, Op: op.Op{Kind: k, FD: int32(fd)}}
	w.Done = w
	return w
}

func (r *rig) submit(w *watched) *watched {
	before := len(w.got)
	r.Zero(w.pending, "test submits twice")
	w.pending = 1
	r.NoError(r.b.Submit(&w.Op))
	r.Len(w.got, before, "completed inside Submit")
	r.True(w.InFlight())
	return w
}

func (w *watched) Complete(o *op.Op, c *op.Completion) {
	r := w.r
	r.Same(&w.Op, o, "completion of another operation")
	r.False(w.inside, "Complete nested")
	r.Equal(1, w.pending, "completion after the terminal one")
	r.Equal(c.More, o.InFlight(), "More and InFlight disagree")
	r.False(c.More && c.Errno != 0, "an error must be terminal: %v", c.Errno)
	receives := w.Kind == op.Recv || w.Kind == op.RecvMsg
	r.False(c.More && w.Kind != op.Accept && w.Kind != op.SendZC && w.Kind != op.SendMsgZC && !receives, "More on a %v", w.Kind)
	r.Equal(receives && c.Errno == 0 && c.Result > 0, c.Lease.Valid(), "lease")
	w.inside = true
	defer func() { w.inside = false }()
	w.takeLease(c)
	again := false
	if !c.More {
		w.pending = 0
		again = o.Again(c)
		multi := w.Kind == op.Accept || receives && c.Result > 0
		if again || multi && c.Errno == 0 && !o.Cancelled() {
			r.submit(w)
		}
	}
	if !again {
		t := told{c.Result, c.Errno, w.pending == 1}
		w.got = append(w.got, t)
		if w.on != nil {
			w.on(t)
		}
	}
}

func (w *watched) takeLease(c *op.Completion) {
	if !c.Lease.Valid() {
		return
	}
	w.r.Equal(int(c.Result), c.Lease.Len())
	if w.Kind == op.RecvMsg {
		w.takeMsg(c.Lease.Bytes())
	} else {
		w.data = append(w.data, c.Lease.Bytes()...)
	}
	if w.keep {
		w.leases = append(w.leases, c.Lease)
	} else {
		c.Lease.Release()
	}
}

func (w *watched) ended() bool { return w.pending == 0 && len(w.got) > 0 }

// end polls until w has ended and returns its last completion.
func (w *watched) end() told {
	w.r.t.Helper()
	w.r.until("the end of a "+w.Kind.String(), w.ended)
	return w.got[len(w.got)-1]
}

// stop cancels w and awaits its end. One that was submitted again meanwhile, since the completion of before said so, is
// cancelled again.
func (w *watched) stop() told {
	w.r.t.Helper()
	w.r.until("the end of a cancelled "+w.Kind.String(), func() bool {
		if w.pending == 1 && !w.Cancelled() {
			w.r.b.Cancel(&w.Op)
		}
		return w.ended()
	})
	return w.got[len(w.got)-1]
}

func (w *watched) release() {
	for _, l := range w.leases {
		l.Release()
	}
	w.leases = nil
}
