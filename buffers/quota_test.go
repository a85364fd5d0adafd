package buffers

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestQuotaConfig(t *testing.T) {
	var q Quota
	require.ErrorContains(t, q.Init(QuotaConfig{Limit: -1}), "QuotaConfig.Limit")
	require.ErrorContains(t, q.Init(QuotaConfig{Limit: 10, Low: 11}), "QuotaConfig.Low")
	require.ErrorContains(t, q.Init(QuotaConfig{Limit: 10, Low: -1}), "QuotaConfig.Low")
	require.ErrorContains(t, q.Init(QuotaConfig{Low: 1}), "QuotaConfig.Low")
	require.NoError(t, q.Init(QuotaConfig{Limit: 1}))
	require.Equal(t, 1, q.Stats().Low)
	require.NoError(t, q.Init(QuotaConfig{Limit: 100}))
	require.Equal(t, 50, q.Stats().Low)
}

func TestQuotaZeroHasNoLimit(t *testing.T) {
	var q Quota
	require.True(t, q.Acquire(1<<28))
	require.True(t, q.TryAcquire(1<<28))
	require.False(t, q.Release(1<<29))
	require.Zero(t, q.Held())
	require.Equal(t, 1<<29, q.Stats().Peak)
}

func TestQuota(t *testing.T) {
	var q Quota
	resumed := 0
	require.NoError(t, q.Init(QuotaConfig{Limit: 100, Low: 40, OnResume: func() { resumed++ }}))
	require.True(t, q.TryAcquire(100))
	require.False(t, q.TryAcquire(1))
	require.False(t, q.Over(), "a refusal books nothing")
	require.False(t, q.Acquire(10))
	require.True(t, q.Over())
	require.Equal(t, 110, q.Held())
	require.False(t, q.Release(69))
	require.False(t, q.Acquire(0), "above Low the pause goes on")
	require.True(t, q.Release(1))
	require.Equal(t, 1, resumed)
	require.False(t, q.Release(40), "told once")
	require.Equal(t, QuotaStats{Limit: 100, Low: 40, Peak: 110, Overruns: 1, Refused: 1}, q.Stats())
	require.PanicsWithValue(t, "buffers: quota given back 1 bytes of 0", func() { q.Release(1) })
	require.Panics(t, func() { q.Release(-1) })
	require.Panics(t, func() { q.Acquire(-1) })
	require.Panics(t, func() { q.TryAcquire(-1) })
	require.Zero(t, testing.AllocsPerRun(100, func() { q.Acquire(200); q.TryAcquire(1); q.Release(200) }))
}

// TestQuotaModel compares with a quota that is written down as plainly as can be.
func TestQuotaModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Quota
		limit := rapid.IntRange(1, 50).Draw(t, "limit")
		low := rapid.IntRange(1, limit).Draw(t, "low")
		require.NoError(t, q.Init(QuotaConfig{Limit: limit, Low: low}))
		held, over := 0, false
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				n := rapid.IntRange(0, 60).Draw(t, "n")
				held += n
				over = over || held > limit
				require.Equal(t, !over, q.Acquire(n))
			},
			"try": func(t *rapid.T) {
				n := rapid.IntRange(0, 60).Draw(t, "n")
				fits := held+n <= limit
				if fits {
					held += n
				}
				require.Equal(t, fits, q.TryAcquire(n))
			},
			"release": func(t *rapid.T) {
				n := rapid.IntRange(0, held).Draw(t, "n")
				held -= n
				resume := over && held <= low
				over = over && !resume
				require.Equal(t, resume, q.Release(n))
			},
			"": func(t *rapid.T) {
				require.Equal(t, held, q.Held())
				require.Equal(t, over, q.Over())
			},
		})
	})
}

// TestQuotaRace: TryAcquire never goes over the limit, nothing is lost, and each overrun is resumed once.
func TestQuotaRace(t *testing.T) {
	const goroutines, rounds = 4, 5000
	var q Quota
	var resumed atomic.Uint64
	require.NoError(t, q.Init(QuotaConfig{Limit: 3, Low: 1, OnResume: func() { resumed.Add(1) }}))
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				if q.TryAcquire(1) {
					if n := q.Held(); n < 1 || n > 3 {
						t.Errorf("%d held of 3", n)
					}
					q.Release(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, q.Held())
	require.LessOrEqual(t, q.Stats().Peak, 3)
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				q.Acquire(1)
				q.Release(1)
			}
		})
	}
	wg.Wait()
	require.Zero(t, q.Held())
	require.False(t, q.Over())
	require.Equal(t, q.Stats().Overruns, resumed.Load())
}
