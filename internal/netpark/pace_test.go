//go:build linux

package netpark

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPaceHoldsWhileItPays(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	var p Pace
	for range 100 {
		require.True(t, p.Hold())
		p.Delivered(1)
		p.Tick()
	}
}

// Two ticks without a completion: idle. Then some waits park, more after each time that holding came to nothing.
func TestPaceBacksOff(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	var p Pace
	for want := leastSkip; want <= mostSkip; want *= 2 {
		require.True(t, p.Hold())
		p.Tick()
		require.True(t, p.Idle())
		require.False(t, p.Hold(), "idle")
		p.Delivered(1)
		require.False(t, p.Idle())
		for i := range want {
			require.False(t, p.Hold(), "%d of %d", i, want)
			p.Delivered(1)
		}
	}
	require.Equal(t, mostSkip, p.skip)
	// Holding that pays makes up for it.
	for p.skip > 0 {
		require.True(t, p.Hold())
		p.Delivered(1)
	}
}

// With one P a wait after each tick parks, so that the runtime looks into its poller.
func TestPaceIsFairWithOneP(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var p Pace
	for range 10 {
		require.True(t, p.Hold())
		p.Delivered(1)
		require.True(t, p.Tick(), "does not yield")
		require.False(t, p.Hold())
		p.Delivered(1)
	}
}
