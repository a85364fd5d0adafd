package report

import (
	"fmt"
	"math"

	"github.com/ouro-io/ouro/bench/internal/pattern"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// claim is what textbooks say of a pattern.
type claim struct {
	pattern, title          string
	performance, complexity string
}

var claims = []claim{
	{"actors", "actor model", "medium", "medium"},
	{"reactor", "reactor", "high", "medium"},
	{"proactor", "proactor", "highest", "high"},
	{"csp", "CSP, channels", "medium", "low"},
	{"streams", "async streams", "high", "medium"},
}

// Bounds of the words. Performance is judged by the server's CPU per request, the steadiest figure, as the cheapest
// pattern's share of it; complexity by lines of code, as multiples of the shortest pattern's.
const (
	highFrom, mediumFrom = 0.85, 0.6
	lowUpTo, mediumUpTo  = 1.5, 3.0
)

func performanceWord(share, tolerance float64) string {
	switch {
	case share >= 1-tolerance:
		return "highest"
	case share >= highFrom:
		return "high"
	case share >= mediumFrom:
		return "medium"
	}
	return "low"
}

func complexityWord(multiple float64) string {
	switch {
	case multiple <= lowUpTo:
		return "low"
	case multiple <= mediumUpTo:
		return "medium"
	}
	return "high"
}

func claimPart(d Document) string {
	rows, resolution, _ := patternRows(d)
	noise, known := resolution["serverCpuNsPerRequest"]
	noise = max(noise, leastChange)
	cheapest, shortest := math.Inf(1), math.MaxInt
	byName := map[string]patternRow{}
	for _, p := range rows {
		byName[p.Name] = p
		shortest = min(shortest, pattern.Lines(p.Name))
		if p.cpu != nil {
			cheapest = min(cheapest, p.cpu.Value.Median)
		}
	}
	out := [][]string{{"textbooks on", "performance", "measured", "", "complexity", "measured", ""}}
	for _, c := range claims {
		p, ok := byName[c.pattern]
		if !ok || p.cpu == nil {
			out = append(out, []string{c.title, c.performance, "not measured", "", c.complexity, "not measured", ""})
			continue
		}
		share, multiple := cheapest/p.cpu.Value.Median, float64(pattern.Lines(c.pattern))/float64(shortest)
		perf, comp := performanceWord(share, noise), complexityWord(multiple)
		out = append(out, []string{c.title, c.performance, fmt.Sprintf("%s (%.2f of the best)", perf, share),
			judgePerformance(c.performance, share, noise, known),
			c.complexity, fmt.Sprintf("%s (%d lines)", comp, pattern.Lines(c.pattern)), judge(c.complexity, comp)})
	}
	return table(append(out, stealingRow(d)))
}

const undecided = "undecided: within the noise"

// judgePerformance compares words. A share that the noise could move over the bound between the two decides nothing, and so
// does one whose noise is not known.
func judgePerformance(said string, share, noise float64, known bool) string {
	if !known {
		return "undecided: one round shows no noise"
	}
	verdict := judge(said, performanceWord(share, noise))
	if said == "highest" {
		return verdict // whose bound is the noise
	}
	for _, s := range []float64{share * (1 - noise), share * (1 + noise)} {
		if judge(said, performanceWord(s, noise)) != verdict {
			return undecided
		}
	}
	return verdict
}

// judge compares words. Who is among the best is also high.
func judge(said, found string) string {
	if said == found || said == "high" && found == "highest" {
		return "confirmed"
	}
	return "refuted"
}

// stealingRow is about work stealing: throughput with and without it, under skewed load.
func stealingRow(d Document) []string {
	row := []string{"work stealing", "highest", "not measured", "", "high", "none for its user: it is the default", "refuted"}
	for _, t := range d.Tables {
		if t.Cell.Scenario != suite.SkewName {
			continue
		}
		with, without := rateOf(t, "ouro-serve"), rateOf(t, "ouro-serve-nosteal")
		if with == nil || without == nil {
			continue
		}
		noise, known := t.Resolution["requestsPerSecond"]
		gain, noise := with.Median/without.Median, max(noise, leastChange)
		if !known {
			noise = math.Inf(1)
		}
		row[2] = fmt.Sprintf("%.2f times the requests/s of the same engine without, under skewed load (noise ±%.0f %%)", gain, 100*noise)
		switch {
		case gain > 1+noise:
			row[3] = "confirmed"
		case gain < 1-noise:
			row[3] = "refuted"
		default:
			row[3] = undecided
		}
		break
	}
	return row
}

func rateOf(t Table, name string) *Spread {
	for _, r := range t.Rows {
		if r.Contestant == name {
			return r.Figures["requestsPerSecond"].Value
		}
	}
	return nil
}
