//go:build linux

package uring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSmoke(t *testing.T) {
	require.NoError(t, Available())
	r, err := Setup(Params{Entries: 4, CQEntries: 16, Flags: SetupNoSQArray | SetupSubmitAll | SetupCoopTaskrun | SetupClamp})
	require.NoError(t, err)
	defer r.Close()
	t.Log(r.Features(), r.Flags())
	for i := range 4 {
		s := r.GetSQE()
		s.PrepNop()
		s.UserData = uint64(i + 1)
	}
	require.Nil(t, r.GetSQE())
	n, errno := r.SubmitAndWait(4, -1)
	require.Zero(t, errno)
	require.EqualValues(t, 4, n)
	require.EqualValues(t, 4, r.Ready())
	b, err := r.RegisterBufRing(1, 8)
	require.NoError(t, err)
	require.NoError(t, b.Close())
}
