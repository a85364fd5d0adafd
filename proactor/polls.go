//go:build linux

package proactor

import "github.com/ouro-io/ouro/internal/op"

// A poll waits for one side of a socket where callers make the system calls themselves and only wait through the engine. It
// stays in flight while somebody waits, and after, until the socket is ready for the next. The mu of its owner guards it.
//
// on is set exactly while op belongs to the backend, want while it should. A completion wakes whoever waits and nothing else,
// so one that comes late does no harm.
type poll struct {
	op       op.Op
	on, want bool
}

func newPoll(fd int32, events uint32, done op.Completer) poll {
	return poll{op: op.Op{Kind: op.Poll, FD: fd, Events: events, Done: done}}
}

// reconcile submits or cancels. Only a backend that broke refuses; its error is returned. The worker is owned.
func (p *poll) reconcile(b op.Backend, closed bool) error {
	switch {
	case closed:
		p.want = false
		if p.on {
			b.Cancel(&p.op)
		}
	case p.want && !p.on:
		if err := b.Submit(&p.op); err != nil {
			p.want = false
			return err
		}
		p.on = true
	}
	return nil
}

// ended takes the completion of p in. It reports false when p only has to be submitted again: reconcile does.
func (p *poll) ended(r *op.Completion, closed bool) bool {
	p.on = false
	if p.op.Again(r) && !closed {
		return false
	}
	p.want = false
	return true
}
