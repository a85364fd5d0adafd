package csp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
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
	opExchange // of a rendezvous: see exchanges
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
			case opExchange:
				return !s.closed, s
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

// exchanges makes one operation of each send over a rendezvous and the receive that got its value. They happen in the same
// moment, so that is within both: there must be such a moment, and exactly one partner for each. What is left are closes and
// operations that failed. One that would have had to wait says nothing, as nobody can see from outside who waits.
func exchanges(history []porcupine.Operation) (joined []porcupine.Operation, err error) {
	sent := map[byte]porcupine.Operation{}
	var received []porcupine.Operation
	for _, o := range history {
		in, out := o.Input.(input), o.Output.(output)
		switch {
		case out.err != nil || in.kind == opClose:
			joined = append(joined, o)
		case in.kind == opSend || in.kind == opTrySend:
			sent[in.v] = o // values are unique
		default:
			received = append(received, o)
		}
	}
	for _, r := range received {
		v := r.Output.(output).v
		s, ok := sent[v]
		if !ok {
			return nil, fmt.Errorf("%d was received and not sent, or received twice", v)
		}
		delete(sent, v)
		x := porcupine.Operation{ClientId: r.ClientId, Input: input{opExchange, v}, Output: output{},
			Call: max(r.Call, s.Call), Return: min(r.Return, s.Return)}
		if x.Call > x.Return {
			return nil, fmt.Errorf("the send of %d and its receive are not at the same time", v)
		}
		joined = append(joined, x)
	}
	if len(sent) > 0 {
		return nil, fmt.Errorf("sent and not received: %v", sent)
	}
	return joined, nil
}

// linearizable checks a history of a channel of the given size.
func linearizable(size int, history []porcupine.Operation) bool {
	if size == 0 {
		joined, err := exchanges(history)
		if err != nil {
			return false
		}
		history = joined
	}
	return porcupine.CheckOperations(chanModel(size), history)
}

// Histories of concurrent operations can be put into an order that a sequential channel would have produced.
func TestChanLinearizable(t *testing.T) {
	for _, size := range []int{0, 1, 3} {
		worldtest.Each(t, func(w *worldtest.World) {
			for range worldtest.Scale(1500) {
				c := New[byte](size)
				var clock atomic.Int64
				var mu sync.Mutex
				var history []porcupine.Operation
				for p := range 4 {
					w.Spawn(func() {
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
				w.Wait()
				if !linearizable(size, history) {
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
		require.False(t, linearizable(2, h))
	}
	span := func(kind opKind, v, got byte, err error, from, to int64) porcupine.Operation {
		return porcupine.Operation{Input: input{kind, v}, Output: output{got, err}, Call: from, Return: to}
	}
	require.True(t, linearizable(0, []porcupine.Operation{span(opSend, 1, 0, nil, 1, 3), span(opRecv, 0, 1, nil, 2, 4)}))
	for name, h := range map[string][]porcupine.Operation{
		"returned before it was received": {span(opSend, 1, 0, nil, 1, 2), span(opRecv, 0, 1, nil, 3, 4)},
		"received before it was sent":     {span(opRecv, 0, 1, nil, 1, 2), span(opSend, 1, 0, nil, 3, 4)},
		"never received":                  {span(opSend, 1, 0, nil, 1, 2)},
		"received twice":                  {span(opSend, 1, 0, nil, 1, 4), span(opRecv, 0, 1, nil, 2, 3), span(opRecv, 0, 1, nil, 2, 3)},
		"sent after the close":            {span(opClose, 0, 0, nil, 1, 2), span(opSend, 1, 0, nil, 3, 5), span(opRecv, 0, 1, nil, 4, 6)},
		"closed twice":                    {span(opClose, 0, 0, nil, 1, 2), span(opClose, 0, 0, nil, 3, 4)},
		"refused before the close":        {span(opTrySend, 1, 0, ErrClosed, 1, 2), span(opClose, 0, 0, nil, 3, 4)},
	} {
		require.False(t, linearizable(0, h), name)
	}
}
