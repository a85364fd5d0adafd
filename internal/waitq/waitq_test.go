package waitq

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A node that was retired is used again only when its party is done with it.
func TestRetire(t *testing.T) {
	var l List[int]
	n := l.Take()
	n.Value = 7
	l.PushBack(n)
	require.True(t, n == l.PopFront())
	l.Retire(n)
	m := l.Take()
	require.False(t, n == m, "its party still reads it")
	require.Equal(t, 7, n.Value)
	n.Done()
	require.True(t, n == l.Take())
	l.Give(n)
	l.Give(m)
	require.True(t, n == l.Take(), "first given, first taken")
	require.True(t, m == l.Take())
	require.Nil(t, l.spare)
}

// A list keeps no more than it says, and what it does not keep may still be in use.
func TestSparesAreBounded(t *testing.T) {
	var l List[int]
	var all []*Node[int]
	for range 2 * maxSpares {
		all = append(all, l.Take())
	}
	for _, n := range all {
		l.PushBack(n)
	}
	for n := l.PopFront(); n != nil; n = l.PopFront() {
		l.Retire(n)
	}
	require.Equal(t, maxSpares, l.spares)
	for i := range all {
		all[len(all)-1-i].Done()
	}
	for i := range maxSpares {
		require.True(t, all[i] == l.Take())
	}
	require.Zero(t, l.spares)
}

// Chain wakes each once, in order, also those that were retired meanwhile.
func TestChain(t *testing.T) {
	var l List[int]
	var wake Chain[int]
	require.True(t, wake.Empty())
	var all []*Node[int]
	for range 3 {
		n := l.Take()
		n.Waiter.Prepare()
		l.PushBack(n)
		all = append(all, n)
	}
	for n := l.PopFront(); n != nil; n = l.PopFront() {
		l.Retire(n)
		wake.Add(n)
	}
	wake.Wake()
	require.True(t, wake.Empty())
	for _, n := range all {
		require.True(t, n.Waiter.Fired())
		require.Nil(t, n.link)
		n.Done()
	}
	require.Equal(t, 3, l.spares)
}
