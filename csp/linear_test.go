package csp

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// What a party does, and what it saw.
type (
	opKind uint8
	input  struct {
		kind opKind
		v    byte
	}
	output struct {
		v   byte
		err error
	}
)

const (
	opSend opKind = iota
	opRecv
	opTrySend
	opTryRecv
	opClose
	opKinds
)

// chanState is a channel in the eyes of a sequential caller.
type chanState struct {
	buf    string
	closed bool
}

// chanModel is a bounded channel. An operation whose context ended has done nothing.
func chanModel(size int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return chanState{} },
		Step: func(state, in, out any) (bool, any) {
			s, i, o := state.(chanState), in.(input), out.(output)
			if o.err == context.Canceled {
				return true, s
			}
			switch i.kind {
			case opSend, opTrySend:
				switch {
				case s.closed:
					return o.err == ErrClosed, s
				case len(s.buf) == size:
					return o.err == ErrWouldBlock, s
				}
				return o.err == nil, chanState{buf: s.buf + string(rune(i.v))}
			case opRecv, opTryRecv:
				switch {
				case len(s.buf) > 0:
					return o.err == nil && o.v == s.buf[0], chanState{s.buf[1:], s.closed}
				case s.closed:
					return o.err == ErrClosed, s
				}
				return o.err == ErrWouldBlock, s
			}
			if s.closed {
				return o.err == ErrClosed, s
			}
			return o.err == nil, chanState{s.buf, true}
		},
	}
}

// perform does one operation. Its context ends sooner or later, so that nothing waits for ever.
func perform(c *Chan[byte], in input) (out output) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if in.kind == opSend || in.kind == opRecv {
		go func() {
			for range rand.IntN(20) {
				runtime.Gosched()
			}
			cancel()
		}()
	}
	switch in.kind {
	case opSend:
		v := in.v
		if v%2 == 0 {
			_, out.err = Select(ctx, Send(c, &v))
		} else {
			out.err = c.SendContext(ctx, v)
		}
	case opRecv:
		if rand.IntN(2) == 0 {
			_, out.err = Select(ctx, Recv(c, &out.v))
		} else {
			out.v, out.err = c.RecvContext(ctx)
		}
	case opTrySend:
		out.err = c.TrySend(in.v)
	case opTryRecv:
		out.v, out.err = c.TryRecv()
	case opClose:
		if !c.shut() {
			out.err = ErrClosed
		}
	}
	return out
}

// Histories of concurrent operations can be put into an order that a sequential channel would have produced.
func TestChanLinearizable(t *testing.T) {
	for _, size := range []int{1, 3} {
		worlds(t, func(w *world) {
			for range scale(2000) {
				c := New[byte](size)
				var clock atomic.Int64
				var mu sync.Mutex
				var history []porcupine.Operation
				for p := range 4 {
					w.spawn(func() {
						for i := range 6 {
							in := input{opKind(rand.IntN(int(opKinds))), byte(1 + p*6 + i)}
							if in.kind == opClose && rand.IntN(4) > 0 {
								in.kind = opTryRecv
							}
							call := clock.Add(1)
							out := perform(c, in)
							end := clock.Add(1)
							mu.Lock()
							history = append(history, porcupine.Operation{ClientId: p, Input: in, Output: out, Call: call, Return: end})
							mu.Unlock()
						}
					})
				}
				w.wait()
				if !porcupine.CheckOperations(chanModel(size), history) {
					w.Fatalf("not linearizable: %+v", history)
				}
			}
		})
	}
}

// The model notices a channel that loses a value, one that invents one, and one that reorders.
func TestChanModelNotices(t *testing.T) {
	op := func(kind opKind, v, got byte, err error, at int64) porcupine.Operation {
		return porcupine.Operation{Input: input{kind, v}, Output: output{got, err}, Call: at, Return: at}
	}
	for _, h := range [][]porcupine.Operation{
		{op(opSend, 1, 0, nil, 1), op(opTryRecv, 0, 0, ErrWouldBlock, 2)},
		{op(opRecv, 0, 7, nil, 1)},
		{op(opSend, 1, 0, nil, 1), op(opSend, 2, 0, nil, 2), op(opRecv, 0, 2, nil, 3)},
		{op(opClose, 0, 0, nil, 1), op(opSend, 2, 0, nil, 2)},
	} {
		require.False(t, porcupine.CheckOperations(chanModel(2), h))
	}
}
