package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/bench/internal/suite"
)

func resultOf(ours, twin int) Document {
	var s []suite.Sample
	for round := range 3 {
		s = append(s, sampleOf("std", round, 1000, 10000), sampleOf("ouro-serve", round, uint64(ours), 10000))
		if twin > 0 {
			s = append(s, sampleOf("std-again", round, uint64(twin), 10000))
		}
	}
	return Document{Tables: summarize(s...)}
}

func TestCompareTellsChangesFromNoise(t *testing.T) {
	c := Compare(resultOf(2000, 1000), resultOf(1500, 1000))
	require.Equal(t, 1, c.Worse("ouro"))
	require.Zero(t, c.Worse("gnet"))
	var b strings.Builder
	require.NoError(t, c.WriteText(&b, false))
	require.Contains(t, b.String(), "-25 %")
	require.Contains(t, b.String(), "worse")
	require.NotContains(t, b.String(), "std-again")
	// The same change, in a result whose twins differ by more.
	c = Compare(resultOf(2000, 1000), resultOf(1500, 1300))
	require.Zero(t, c.Worse("ouro"))
	require.Zero(t, Compare(resultOf(1500, 1000), resultOf(2000, 1000)).Worse(""), "for the better")
}

func TestCompareTellsWhatIsMissing(t *testing.T) {
	a, b := resultOf(1000, 0), resultOf(1000, 1000)
	other := b
	other.Tables = append(other.Tables[:0:0], other.Tables...)
	other.Tables[0].Cell.Conns++
	require.Len(t, Compare(a, other).Missing, 2)
	require.Len(t, Compare(b, a).Missing, 1)
}
