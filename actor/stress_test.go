package actor

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// A million messages of four actors and four goroutines to one actor whose mailbox is small, on 1, 2 and 8 workers: the
// senders wait, nothing is lost, each sender's messages come in order, and one at a time.
func TestStressManySenders(t *testing.T) {
	const senders = 8
	each := worldtest.Scale(1_000_000) / senders
	type message struct{ from, n int }
	for _, workers := range []int{1, 2, 8} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			s := newSystem(t, workers, Config{})
			var next [senders]int
			inside := 0 // no atomic: the race detector and the count below would tell
			p := simple(func(_ *Context[message], m message) error {
				if inside++; inside != 1 {
					t.Errorf("%d messages at a time", inside)
				}
				if m.n != next[m.from] {
					t.Errorf("message %d of sender %d where %d was expected", m.n, m.from, next[m.from])
				}
				next[m.from]++
				inside--
				return nil
			})
			p.Mailbox, p.Overflow = 64, Wait
			to := spawn(t, s, p)
			tellAll := func(from int) {
				for i := range each {
					if err := to.Tell(message{from, i}); err != nil {
						t.Errorf("refused: %v", err)
						return
					}
				}
			}
			var group sync.WaitGroup
			for from := range senders {
				if from%2 == 0 {
					group.Go(func() { tellAll(from) })
					continue
				}
				sender := spawn(t, s, simple(func(*Context[int], int) error { tellAll(from); return nil }))
				require.NoError(t, sender.Tell(0))
				sender.Drain()
				defer ended(t, sender)
				group.Go(func() { _, _ = sender.Ended().Await(worldtest.Within(t)) })
			}
			group.Wait()
			to.Drain()
			ended(t, to)
			for from, n := range next {
				require.Equal(t, each, n, "of sender %d", from)
			}
		})
	}
}
