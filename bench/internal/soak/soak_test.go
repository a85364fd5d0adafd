package soak

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/proactor"
)

// The process-wide engine of package file lives on.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/ouro-io/ouro/executor.(*runner).run"),
		goleak.IgnoreAnyFunction("github.com/ouro-io/ouro/executor.(*monitor).run"))
}

// A leak on purpose is found.
func TestSoakFindsALeak(t *testing.T) {
	s := &soak{Config: Config{Settle: 200 * time.Millisecond}, done: map[string]uint64{}}
	e, err := proactor.New(proactor.Config{Backend: proactor.Epoll})
	require.NoError(t, err)
	s.engine = e
	base, err := s.settle(Counts{}, false)
	require.NoError(t, err)
	fd, err := unix.Dup(0)
	require.NoError(t, err)
	_, err = s.settle(base, true)
	require.ErrorIs(t, err, ErrDrift)
	require.ErrorContains(t, err, "descriptors")
	require.NoError(t, unix.Close(fd))
	_, err = s.settle(base, true)
	require.NoError(t, err)
	more := base
	more.Leases++
	require.Contains(t, more.beyond(base), "leases")
	more = base
	more.RSSBytes += rssSlack + base.RSSBytes
	require.Contains(t, more.beyond(base), "memory")
	require.NoError(t, s.shutdown())
}

func TestSoak(t *testing.T) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			rep, err := Run(t.Context(), Config{Duration: 2 * time.Second, Cycle: 300 * time.Millisecond, WarmCycles: 2, Conns: 3,
				Settle: 30 * time.Second, Backend: b, Log: func(s string) { t.Log(s) }})
			if b == proactor.IOUring && err != nil && rep.Cycles == 0 {
				t.Skip(err)
			}
			require.NoError(t, err)
			require.Greater(t, rep.Cycles, 1)
			for _, x := range new(soak).traffic() {
				require.Positive(t, rep.Operations[x.name], x.name)
			}
			require.Zero(t, rep.Last.Leases)
		})
	}
}

func TestConfigOutOfRange(t *testing.T) {
	_, err := Run(context.Background(), Config{})
	require.ErrorContains(t, err, "duration")
}
