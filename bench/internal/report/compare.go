package report

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Change is one figure in two results.
type Change struct {
	Cell, Contestant, Metric string
	// Before and After are the ratios to package net of the same result: what the two machines, or moments, differ by
	// in themselves cancels out.
	Before, After float64
	// Noise is what both figures together may be off by, as a share of the first.
	Noise float64
	// Better is set when the change is for the better. It means nothing while Beyond is not set.
	Better, Beyond bool
}

// leastChange is below what the method can promise at all.
const leastChange = 0.05

// Comparison is two results side by side.
type Comparison struct {
	Changes []Change
	// Missing are cells and contestants that only one of the two has.
	Missing []string
}

// Compare relates the ratios to package net of b to those of a.
func Compare(a, b Document) Comparison {
	var c Comparison
	later := map[string]Table{}
	for _, t := range b.Tables {
		later[Title(t.Cell)] = t
	}
	for _, t := range a.Tables {
		u, ok := later[Title(t.Cell)]
		delete(later, Title(t.Cell))
		if !ok {
			c.Missing = append(c.Missing, Title(t.Cell)+": only in the first")
			continue
		}
		c.compareTables(t, u)
	}
	for _, t := range b.Tables {
		if _, ok := later[Title(t.Cell)]; ok {
			c.Missing = append(c.Missing, Title(t.Cell)+": only in the second")
		}
	}
	return c
}

func (c *Comparison) compareTables(t, u Table) {
	rows := map[string]Row{}
	for _, r := range u.Rows {
		rows[r.Contestant] = r
	}
	for _, r := range t.Rows {
		s, ok := rows[r.Contestant]
		if !ok || len(r.Figures) == 0 || len(s.Figures) == 0 {
			c.Missing = append(c.Missing, fmt.Sprintf("%s: %s has no figures in one of the two", Title(t.Cell), r.Contestant))
			continue
		}
		for _, m := range MetricsOf(t.Cell) {
			x, y := r.Figures[m.Key].ToBaseline, s.Figures[m.Key].ToBaseline
			if x == nil || y == nil || x.Median <= 0 || y.Median <= 0 {
				continue
			}
			ch := Change{Cell: Title(t.Cell), Contestant: r.Contestant, Metric: m.Title, Before: x.Median, After: y.Median,
				Noise: float64(sureOfMany) / sure * math.Hypot(noiseOf(t, m, r.Figures[m.Key]), noiseOf(u, m, s.Figures[m.Key]))}
			ch.Beyond = math.Abs(math.Log(ch.After/ch.Before)) > ch.Noise
			ch.Better = (ch.After > ch.Before) == m.MoreIsBetter
			c.Changes = append(c.Changes, ch)
		}
	}
}

// Worse counts the changes for the worse, beyond the noise, of contestants whose name begins with prefix.
func (c Comparison) Worse(prefix string) int {
	n := 0
	for _, ch := range c.Changes {
		if ch.Beyond && !ch.Better && strings.HasPrefix(ch.Contestant, prefix) {
			n++
		}
	}
	return n
}

// WriteText prints the changes beyond the noise, or all of them, and how many figures agree.
func (c Comparison) WriteText(w io.Writer, all bool) error {
	var b strings.Builder
	grid := [][]string{{"contestant", "figure", "× std before", "after", "change", "noise", ""}}
	cell, agree := "", 0
	flush := func() {
		if len(grid) > 1 {
			fmt.Fprintf(&b, "\n%s\n", cell)
			writeGrid(&b, grid)
		}
		grid = grid[:1]
	}
	for _, ch := range c.Changes {
		if !ch.Beyond {
			agree++
		}
		if ch.Cell != cell {
			flush()
			cell = ch.Cell
		}
		if ch.Beyond || all {
			grid = append(grid, []string{ch.Contestant, ch.Metric, fmt.Sprintf("%.2f", ch.Before), fmt.Sprintf("%.2f", ch.After),
				fmt.Sprintf("%+.0f %%", 100*(ch.After/ch.Before-1)), fmt.Sprintf("±%.0f %%", 100*ch.Noise), ch.word()})
		}
	}
	flush()
	for _, m := range c.Missing {
		fmt.Fprintf(&b, "%s\n", m)
	}
	fmt.Fprintf(&b, "\n%d of %d ratios agree within the noise\n", agree, len(c.Changes))
	_, err := io.WriteString(w, b.String())
	return err
}

func (ch Change) word() string {
	switch {
	case !ch.Beyond:
		return ""
	case ch.Better:
		return "better"
	}
	return "worse"
}
