package buffers

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The last release of a share releases what was shared, once, whoever comes last.
func TestShare(t *testing.T) {
	p, err := NewPool(PoolConfig{})
	require.NoError(t, err)
	for _, n := range []int{1, 2, 1000} {
		l, err := p.Get(100)
		require.NoError(t, err)
		copy(l.Bytes(), "hello")
		before := DoubleReleases()
		shared := l.Slice(0, 5).Share(n)
		require.Len(t, shared, n)
		var done sync.WaitGroup
		for _, s := range shared[1:] {
			require.Equal(t, "hello", string(s.Bytes()))
			done.Go(s.Release)
		}
		done.Wait()
		require.Equal(t, 1, p.Stats().Out, "one share is held")
		shared[0].Release()
		require.Zero(t, p.Stats().Out)
		require.Equal(t, before, DoubleReleases())
		shared[0].Release()
		require.Equal(t, before+1, DoubleReleases())
		require.Zero(t, p.Stats().Out)
	}
	require.NoError(t, p.Close())
	require.Panics(t, func() { Wrap(nil).Share(0) })
}
