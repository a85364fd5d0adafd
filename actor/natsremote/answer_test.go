package natsremote

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/actor"
)

// TestAckedIsInTheMailbox: as many messages are acknowledged as the actor gets, whatever its mailbox does with more.
func TestAckedIsInTheMailbox(t *testing.T) {
	for _, policy := range []actor.Overflow{actor.DropNewest, actor.Reject} {
		a, b := newPair(t)
		system := newSystem(t)
		entered, open := make(chan struct{}, 100), make(chan struct{})
		handled := 0
		ref := spawn(t, system, actor.Props[int]{Mailbox: 4, Overflow: policy}, func(*actor.Context[int], int) error {
			entered <- struct{}{}
			<-open
			handled++
			return nil
		})
		_, err := Expose(a, "x", ref, JSON[int]())
		require.NoError(t, err)
		to := To(b, "x", JSON[int]())
		require.NoError(t, to.TellAcked(limited(t), 0))
		<-entered
		acked := 1
		for i := range 20 {
			var re *RemoteError
			if err := to.TellAcked(limited(t), i); err == nil {
				acked++
			} else {
				require.ErrorAs(t, err, &re)
				require.Contains(t, re.Text, "full")
			}
		}
		close(open)
		ref.Drain()
		_, err = ref.Ended().Await(limited(t))
		require.NoError(t, err)
		require.Equal(t, 5, acked, "policy %d", policy)
		require.Equal(t, acked, handled, "policy %d", policy)
	}
}

// A name that stands for an actor elsewhere passes messages on, and acknowledges none.
func TestExposedElsewhere(t *testing.T) {
	system := newSystem(t)
	a, b := newPair(t)
	got := make(chan int, 10)
	ref := spawn(t, system, actor.Props[int]{}, func(_ *actor.Context[int], m int) error { got <- m; return nil })
	_, err := Expose(a, "near", ref, JSON[int]())
	require.NoError(t, err)
	_, err = Expose(a, "far", To(a, "near", JSON[int]()).Ref(), JSON[int]())
	require.NoError(t, err)
	to := To(b, "far", JSON[int]())
	var re *RemoteError
	require.ErrorAs(t, to.TellAcked(limited(t), 1), &re)
	require.Contains(t, re.Text, "use Tell")
	require.NoError(t, to.Ref().Tell(2))
	require.Equal(t, 2, <-got)
}
