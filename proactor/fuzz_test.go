//go:build linux

package proactor

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/proactor/ringbackend"
)

// FuzzConfig gives New any configuration. It refuses with an error that names the field, or makes an engine that works
// and ends; it never panics, and never changes a value in silence to one that works.
func FuzzConfig(f *testing.F) {
	f.Add(uint8(0), 0, 0, 0, 0, uint32(0), uint32(0), int64(0), int64(0), 0, 0, 0, uint8(0))
	f.Add(uint8(1), 2, 8, 4096, 8, uint32(64), uint32(128), int64(time.Millisecond), int64(time.Millisecond), 3, 16, 1<<16, uint8(1))
	f.Add(uint8(2), -1, -1, -1, -1, uint32(1<<31), uint32(3), int64(-1), int64(-1), -1, -1, -1, uint8(3))
	f.Add(uint8(9), math.MaxInt, math.MaxInt, 1, 1<<30, uint32(1), uint32(1<<30), int64(time.Hour), int64(1), 1<<30, 1<<30, 1, uint8(9))
	f.Fuzz(func(t *testing.T, backend uint8, workers, count, size, quota int, entries, cq uint32, idle, stall int64,
		demote, budget, queue int, restrict uint8) {
		c := Config{
			Backend: Backend(backend), Workers: workers, Buffers: buffers.GroupConfig{Count: count, Size: size}, ReceiveQuota: quota,
			RingEntries: entries, RingCQEntries: cq, IdleAfter: time.Duration(idle), StallAfter: time.Duration(stall),
			DemoteAfter: demote, TaskBudget: budget, WriteQueue: queue, Restrict: ringbackend.Restrict(restrict),
			Log: func(string) {},
		}
		if workers > 4 && workers < 1<<16 || count > 1<<12 && count < 1<<30 || size > 1<<20 && int64(size) < 1<<34 ||
			entries > 1<<12 && entries <= 1<<15 || cq > 1<<14 && cq < 1<<31 {
			t.Skip("would work, and take too much memory for a fuzz target")
		}
		if c.Backend == IOUring && denytest.NoRing() != nil {
			t.Skip("no ring here")
		}
		e, err := New(c)
		if err != nil {
			require.True(t, names(err.Error()), "it names no field: %v", err)
			return
		}
		echoWhole(t, e)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, e.Shutdown(ctx))
	})
}

// echoWhole echoes once through e, however small its buffers are.
func echoWhole(t *testing.T, e *Engine) {
	const text = "still here"
	l := listen(t)
	a, err := e.Accept(l, func(c *Conn) {
		_ = c.Start(func() {
			defer c.Close()
			p := make([]byte, len(text))
			for n := 0; n < len(p); {
				m, err := c.Read(p[n:])
				if err != nil {
					return
				}
				n += m
			}
			_, _ = c.Write(p)
		}, nil, false)
	})
	require.NoError(t, err)
	defer a.Close()
	echoOnce(t, dial(t, l), []byte(text))
}

// names reports whether an error is about a field of Config, or a limit of this machine.
func names(text string) bool {
	for _, w := range []string{"Backend", "Workers", "Count", "Size", "Quota", "Entries", "IdleAfter", "StallAfter", "DemoteAfter",
		"TaskBudget", "WriteQueue", "Restrict", "cannot allocate memory"} {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
