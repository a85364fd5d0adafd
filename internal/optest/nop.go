//go:build linux

package optest

import (
	"syscall"

	"github.com/ouro-io/ouro/internal/op"
)

var nopChecks = []check{
	{name: "completes with 0", run: nop},
	{name: "many in one turn", run: manyNops},
	{name: "chain from inside Complete", run: nopChain},
	{name: "unknown kind is refused", run: unknownKind},
	{name: "bad descriptor", run: badDescriptor},
}

func nop(r *rig) {
	w := r.submit(r.op(op.Nop, -1))
	r.Equal(1, r.b.InFlight())
	r.Equal(told{}, w.end())
	r.Zero(r.b.InFlight())
	// The record can be used again.
	r.Equal(told{}, r.submit(w).end())
	r.Len(w.got, 2)
}

func manyNops(r *rig) {
	const n = 1000
	all := make([]*watched, n)
	before := r.b.Stats()
	for i := range all {
		all[i] = r.submit(r.op(op.Nop, -1))
	}
	r.Equal(n, r.b.InFlight())
	delivered := 0
	for _, w := range all {
		w.on = func(told) { delivered++ }
	}
	r.until("all nops", func() bool { return delivered >= n })
	r.idle()
	for _, w := range all {
		r.Equal([]told{{}}, w.got)
	}
	after := r.b.Stats()
	r.Equal(uint64(n), after.Submitted-before.Submitted)
	r.Equal(uint64(n), after.Completed-before.Completed)
	r.Greater(after.Polls, before.Polls)
}

func nopChain(r *rig) {
	w := r.op(op.Nop, -1)
	w.on = func(told) {
		if len(w.got) < 500 {
			r.submit(w)
		}
	}
	r.submit(w)
	r.until("the chain", func() bool { return len(w.got) == 500 })
	r.Zero(r.b.InFlight())
}

func unknownKind(r *rig) {
	w := r.op(200, -1)
	r.Error(r.b.Submit(&w.Op))
	r.False(w.InFlight())
	r.Zero(r.b.InFlight())
}

func badDescriptor(r *rig) {
	for _, k := range []op.Kind{op.Accept, op.Connect, op.Recv, op.RecvInto, op.Send, op.Poll} {
		for _, fd := range []int{-1, 1 << 30} {
			w := r.op(k, fd)
			w.Buf = make([]byte, 1)
			w.Events = 1
			if k == op.Connect {
				w.Buf = raw(loopback)
			}
			r.Equal(told{errno: syscall.EBADF}, r.submit(w).end(), "%v on %d", k, fd)
		}
	}
}
