package report

import (
	"math"
	"slices"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// How far a median ratio may be off is judged twice. The twin shows a distance that should be none, but it is one
// contestant's, and of three rounds: by luck it is often small. So the scatter of all contestants' ratios over the rounds is
// looked at too, from which the error of a median follows. Scatter is taken of logarithms, as ratios multiply.

const (
	// sure is how many standard errors a verdict asks for: about one in twenty is wrong.
	sure = 2
	// sureOfMany stands in for it where two results are compared, which are hundreds of figures.
	sureOfMany = 3
)

// rangeOf are the expected ranges of samples of a normal distribution, in standard deviations, by their size.
var rangeOf = []float64{0, 0, 1.128, 1.693, 2.059, 2.326, 2.534, 2.704, 2.847, 2.970, 3.078}

// errorOf is the standard error of the median of values between low and high, as a share of it; false when there are too few
// to tell.
func errorOf(s *Spread) (float64, bool) {
	if s == nil || s.N < 2 || s.Min <= 0 {
		return 0, false
	}
	sigma := math.Log(s.Max/s.Min) / rangeOf[min(s.N, len(rangeOf)-1)]
	n := float64(s.N)
	if s.N == 2 {
		return sigma / math.Sqrt(n), true // the median of two is their mean
	}
	return sigma * math.Sqrt(math.Pi/2/n), true
}

// resolution is, per related metric, the larger of what the twin's median ratio differs from 1 by and of twice the standard
// error of a median ratio, which is that of the median contestant. One round has none, so nothing can be said of it.
func resolution(cell suite.Cell, rows []Row) map[string]float64 {
	at := slices.IndexFunc(rows, func(r Row) bool { return r.Contestant == contestant.Twin })
	if at < 0 {
		return nil
	}
	var out map[string]float64
	for _, m := range MetricsOf(cell) {
		twin := rows[at].Figures[m.Key].ToBaseline
		if twin == nil {
			continue
		}
		var errors []float64
		for _, r := range rows {
			if e, ok := errorOf(r.Figures[m.Key].ToBaseline); ok {
				errors = append(errors, e)
			}
		}
		e := spreadOf(errors)
		if e == nil {
			continue // one round, or one contestant: nothing tells by how much it may be off
		}
		if out == nil {
			out = map[string]float64{}
		}
		out[m.Key] = max(math.Abs(twin.Median-1), sure*e.Median)
	}
	return out
}

// noiseOf is how far figure f of table t may be off: the table's resolution, or more when its own rounds differ by more.
func noiseOf(t Table, m Metric, f Figure) float64 {
	n := max(t.Resolution[m.Key], leastChange)
	if e, ok := errorOf(f.ToBaseline); ok {
		n = max(n, sure*e)
	}
	return n
}
