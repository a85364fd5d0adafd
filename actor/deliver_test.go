package actor

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// elsewhere is a Target that is no actor.
type elsewhere struct{ told []int }

func (e *elsewhere) Tell(m int) error { e.told = append(e.told, m); return errBoom }
func (e *elsewhere) Path() string     { return "elsewhere" }

// TestDeliver: with every policy nil means that the message has got into the mailbox, and the dead letters are those of Tell.
func TestDeliver(t *testing.T) {
	for _, c := range []struct {
		policy    Overflow
		got, dead []int
		errs      []error
	}{
		{Reject, []int{0, 1, 2}, []int{3}, []error{nil, nil, ErrMailboxFull}},
		{DropNewest, []int{0, 1, 2}, []int{3}, []error{nil, nil, ErrMailboxFull}},
		{DropOldest, []int{0, 2, 3}, []int{1}, []error{nil, nil, nil}},
		{Wait, []int{0, 1, 2, 3}, nil, []error{nil, nil, nil}},
	} {
		var dead []int
		s := newSystem(t, 1, Config{DeadLetter: func(d DeadLetter) {
			if errors.Is(d.Why, ErrMailboxFull) {
				dead = append(dead, d.Message.(int))
			}
		}})
		entered, open := make(chan struct{}), make(chan struct{})
		var got []int
		p := simple(func(_ *Context[int], m int) error {
			if m == 0 {
				close(entered)
				<-open
			}
			got = append(got, m)
			return nil
		})
		p.Mailbox, p.Overflow = 2, c.policy
		r := spawn(t, s, p)
		require.NoError(t, r.Deliver(0))
		<-entered
		for i, want := range c.errs {
			if c.policy == Wait && i == 2 {
				close(open) // or it would wait for ever
			}
			require.Equal(t, want, r.Deliver(i+1), "policy %d, message %d", c.policy, i+1)
		}
		if c.policy != Wait {
			close(open)
		}
		r.Drain()
		ended(t, r)
		require.Equal(t, c.got, got)
		require.Equal(t, c.dead, dead)
		require.ErrorIs(t, r.Deliver(9), ErrStopped)
	}
	require.ErrorIs(t, Ref[int]{}.Deliver(1), ErrStopped)
	var e elsewhere
	require.Equal(t, errBoom, RefTo[int](&e).Deliver(7))
	require.Equal(t, []int{7}, e.told)
}
