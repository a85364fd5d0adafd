//go:build linux

package optest

import (
	"testing"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An echoer sends back what it receives, from inside completions, without allocations.
type echoer struct {
	b        op.Backend
	in, out  op.Op
	lease    buffers.Lease
	peer     int
	rounds   int
	bad      int // completions that a plain echo never has
	stopping bool
}

func newEchoer(r *rig) *echoer {
	fd, peer := r.pair()
	e := &echoer{b: r.b, peer: peer}
	e.in = op.Op{Done: e, Kind: op.Recv, FD: int32(fd)}
	e.out = op.Op{Done: e, Kind: op.Send, FD: int32(fd)}
	r.NoError(r.b.Submit(&e.in))
	return e
}

func (e *echoer) Complete(o *op.Op, c *op.Completion) {
	switch {
	case o == &e.out:
		if int(c.Result) != len(o.Buf) {
			e.bad++
		}
		e.lease.Release()
		e.rounds++
	case c.Lease.Valid():
		e.lease = c.Lease
		e.out.Buf = c.Lease.Bytes()
		if e.b.Submit(&e.out) != nil {
			e.bad++
		}
		fallthrough
	default:
		if !c.More && !e.stopping && e.b.Submit(&e.in) != nil {
			e.bad++
		}
	}
}

// round makes each connection echo once.
func round(r testing.TB, b op.Backend, all []*echoer, msg, buf []byte) {
	want := all[0].rounds + 1
	for _, e := range all {
		unix.Write(e.peer, msg)
	}
	for left := true; left; {
		if _, err := b.Poll(-1); err != nil {
			r.Fatal(err)
		}
		left = false
		for _, e := range all {
			left = left || e.rounds < want
		}
	}
	for _, e := range all {
		if n, err := (fdReader{realSockets{}, e.peer}).Read(buf); n != len(msg) || err != nil || e.bad != 0 {
			r.Fatal("echo failed: ", n, err, e.bad)
		}
	}
}

func (r *rig) echoers(n int) []*echoer {
	all := make([]*echoer, n)
	for i := range all {
		all[i] = newEchoer(r)
	}
	return all
}

func stop(r *rig, all []*echoer) {
	for _, e := range all {
		e.stopping = true
		r.b.Cancel(&e.in)
	}
	r.until("the end of all", func() bool { return r.b.InFlight() == 0 })
}

func noAllocations(r *rig) {
	all := r.echoers(8)
	msg, buf := make([]byte, 64), make([]byte, 64)
	for range 100 {
		round(r.t, r.b, all, msg, buf)
	}
	r.Zero(testing.AllocsPerRun(200, func() { round(r.t, r.b, all, msg, buf) }))
	stop(r, all)
}

// BenchEcho measures 64-byte echoes over conns connections through the backend alone, without an engine. An iteration
// is one echo; the peers' system calls, one write and one read an echo, are included and the same for every backend.
// It also reports the process's CPU time, the backend's system calls, and completions a Poll.
func BenchEcho(b *testing.B, make New, conns int) {
	r := newRig(b, make, buffers.GroupConfig{})
	all := r.echoers(conns)
	msg, buf := pattern(0, 64), pattern(0, 64)
	round(b, r.b, all, msg, buf)
	before, cpu := r.b.Stats(), cpuTime()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += conns {
		round(b, r.b, all, msg, buf)
	}
	b.StopTimer()
	after := r.b.Stats()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	require.NotZero(b, after.Polls-before.Polls)
	b.ReportMetric(float64(after.Syscalls-before.Syscalls)/float64(b.N), "syscalls/op")
	b.ReportMetric(float64(after.Completed-before.Completed)/float64(after.Polls-before.Polls), "completions/poll")
	stop(r, all)
}

// cpuTime is the CPU time that the process has used, in ns.
func cpuTime() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return ts.Nano()
}
