package natsremote

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"
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

// A question for a name that has messages only is refused, and is no message.
func TestAskWhatIsExposed(t *testing.T) {
	system := newSystem(t)
	a, b := newPair(t)
	got := make(chan int, 10)
	ref := spawn(t, system, actor.Props[int]{}, func(_ *actor.Context[int], m int) error { got <- m; return nil })
	_, err := Expose(a, "x", ref, JSON[int]())
	require.NoError(t, err)
	to := To(b, "x", JSON[int]())
	_, err = Ask(limited(t), to, 1, JSON[int]()).Await(limited(t))
	var re *RemoteError
	require.ErrorAs(t, err, &re)
	require.Contains(t, re.Text, "ExposeAsk")
	require.NoError(t, to.TellAcked(limited(t), 2))
	require.Equal(t, 2, <-got)
}

// An error reaches who asked, however long its text and whatever is in it, and however short the server's messages have to be.
func TestErrorTexts(t *testing.T) {
	type failing struct {
		text  string
		reply actor.Reply[int]
	}
	system := newSystem(t)
	ref := spawn(t, system, actor.Props[failing]{}, func(_ *actor.Context[failing], m failing) error {
		m.reply.Fail(errors.New(m.text))
		return nil
	})
	small, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPayload: 1024})
	require.NoError(t, err)
	small.Start()
	t.Cleanup(func() { small.Shutdown(); small.WaitForShutdown() })
	require.True(t, small.ReadyForConnections(hang))
	n, _ := newPair(t)
	short, err := Connect(Config{URL: small.ClientURL()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = short.Close() })
	fail := func(n *Node, name, text string) string {
		_, err := ExposeAsk(n, name, ref, hang, JSON[int](), JSON[int](), func(_ int, r actor.Reply[int]) failing { return failing{text, r} })
		require.NoError(t, err)
		_, err = Ask(limited(t), To(n, name, JSON[int]()), 1, JSON[int]()).Await(limited(t))
		var re *RemoteError
		require.ErrorAs(t, err, &re)
		return re.Text
	}
	require.Equal(t, "", fail(n, "empty", ""))
	require.Equal(t, "a: b c", fail(n, "lines", "a: b\nc"))
	require.Equal(t, "a\x00\xffb", fail(n, "bytes", "a\x00\xffb"))
	require.Equal(t, strings.Repeat("x", 100<<10)[:maxError]+"…", fail(n, "long", strings.Repeat("x", 100<<10)))
	text := fail(n, "huge", "x"+strings.Repeat("ä", 2<<20))
	require.True(t, utf8.ValidString(text))
	require.True(t, strings.HasPrefix(text, "xää"))
	require.Contains(t, fail(short, "short", strings.Repeat("x", 2000)), "cannot be sent")
}
