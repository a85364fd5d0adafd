//go:build linux

package proactor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A reader that waits when reading ahead is switched off still gets what comes, and so does the one behind it.
func TestNoReadAheadWhileReadersWait(t *testing.T) {
	onEachBackend(t, func(t *testing.T, cfg Config) {
		e := newEngine(t, cfg)
		for _, lease := range []bool{false, true} {
			c, peer := pair(t, e)
			got := make(chan string, 2)
			for range 2 {
				go func() {
					if lease {
						l, err := c.ReadLease()
						got <- string(l.Bytes())
						l.Release()
						if err != nil {
							got <- err.Error()
						}
						return
					}
					b := make([]byte, 1)
					n, err := c.Read(b)
					got <- string(b[:n])
					if err != nil {
						got <- err.Error()
					}
				}()
			}
			eventually(t, "the readers", c.locked(func() bool {
				return c.recvOn && c.wait != nil && c.wait.reading && len(c.wait.readers) == 1
			}))
			c.NoReadAhead()
			eventually(t, "the end of receiving ahead", c.locked(func() bool { return !c.recvOn }))
			for _, s := range []string{"a", "b"} {
				_, err := peer.Write([]byte(s))
				require.NoError(t, err)
				require.Equal(t, s, within(t, got))
			}
		}
	})
}
