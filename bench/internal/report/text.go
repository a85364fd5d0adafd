package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/suite"
	"github.com/ouro-io/ouro/bench/protocol"
)

// busyLoad is the share of a CPU from which the load generator may be what limits the throughput.
const busyLoad = 0.6

// WriteText prints the tables for people.
func WriteText(w io.Writer, tables []Table) error {
	var b strings.Builder
	for _, t := range tables {
		writeTable(&b, t)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeTable(b *strings.Builder, t Table) {
	fmt.Fprintf(b, "\n%s\n", Title(t.Cell))
	metrics := MetricsOf(t.Cell)
	grid := [][]string{headings(metrics)}
	var notes []string
	for _, r := range t.Rows {
		if r.Failed != "" {
			notes = append(notes, fmt.Sprintf("%s: %s", r.Contestant, r.Failed))
		}
		if len(r.Figures) > 0 {
			grid = append(grid, cells(metrics, r))
		}
	}
	writeGrid(b, filled(grid))
	if n := noise(t, metrics); n != "" {
		notes = append(notes, n)
	}
	if n := busy(t); n != "" {
		notes = append(notes, n)
	}
	for _, n := range notes {
		fmt.Fprintf(b, "  %s\n", n)
	}
}

// Title describes a cell in a line.
func Title(c suite.Cell) string {
	return c.Scenario + " · " + Condition(c)
}

// Condition describes a cell without its scenario.
func Condition(c suite.Cell) string {
	return condition(c) + " · " + where[c.Mode]
}

// condition does so without the mode.
func condition(c suite.Cell) string {
	s, err := suite.Find(c.Scenario)
	if err != nil {
		return ""
	}
	var what []string
	add := func(format string, args ...any) { what = append(what, fmt.Sprintf(format, args...)) }
	if c.Variant != "" {
		add("%s", c.Variant)
	}
	switch s.Role {
	case protocol.Timers:
		add("%d timers", c.Conns)
	case protocol.File:
		add("%s, %d in flight", size(c.Size), c.Pipeline)
	default:
		if c.Conns == 1 {
			add("1 connection, %s", size(c.Size))
		} else {
			add("%d connections, %s", c.Conns, size(c.Size))
		}
		if c.Rate > 0 {
			add("%d per second", c.Rate)
		} else if c.Pipeline > 1 {
			add("%d in flight", c.Pipeline)
		}
	}
	return strings.Join(what, ", ")
}

var where = map[suite.Mode]string{
	suite.Same: "same: server and load share one CPU",
	suite.Sep:  "sep: server and load have a CPU each",
	suite.Free: "free: nothing pinned",
}

func size(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

func headings(metrics []Metric) []string {
	h := []string{"server"}
	for _, m := range metrics {
		h = append(h, m.Title)
		if m.Related {
			h = append(h, "× std", "(min–max)")
		}
		if m.Limit {
			h = append(h, "× C")
		}
	}
	return h
}

func cells(metrics []Metric, r Row) []string {
	row := []string{r.Contestant}
	for _, m := range metrics {
		f := r.Figures[m.Key]
		if f.Value == nil {
			row = append(row, "–")
		} else {
			row = append(row, m.format(f.Value.Median))
		}
		if m.Related {
			row = append(row, times(f.ToBaseline), extremes(f.ToBaseline))
		}
		if m.Limit {
			row = append(row, times(f.ToLimit))
		}
	}
	return row
}

func times(s *Spread) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", s.Median)
}

func extremes(s *Spread) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.2f–%.2f", s.Min, s.Max)
}

// filled leaves out columns that nobody has anything in.
func filled(grid [][]string) [][]string {
	out := make([][]string, len(grid))
	for col := range grid[0] {
		empty := len(grid) > 1
		for _, row := range grid[1:] {
			empty = empty && row[col] == ""
		}
		if empty {
			continue
		}
		for i, row := range grid {
			out[i] = append(out[i], row[col])
		}
	}
	return out
}

// writeGrid aligns the first column left and the others right.
func writeGrid(b *strings.Builder, grid [][]string) {
	width := make([]int, len(grid[0]))
	for _, row := range grid {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range grid {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i == 0 {
				line.WriteString("  " + c + pad)
			} else {
				line.WriteString("  " + pad + c)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func noise(t Table, metrics []Metric) string {
	var parts []string
	for _, m := range metrics {
		if v, ok := t.Resolution[m.Key]; ok {
			parts = append(parts, fmt.Sprintf("%s ±%.0f %%", m.Title, 100*v))
		}
	}
	if parts == nil {
		if slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Contestant == contestant.Twin }) {
			return "noise: unknown, as one round shows none; no difference says anything"
		}
		return ""
	}
	return "noise: " + strings.Join(parts, ", ") + "; smaller differences say nothing"
}

func busy(t Table) string {
	if t.Cell.Mode == suite.Same || loadless(t.Cell) {
		return ""
	}
	var who []string
	for _, r := range t.Rows {
		if r.LoadCPUShare > busyLoad {
			who = append(who, fmt.Sprintf("%s %.0f %%", r.Contestant, 100*r.LoadCPUShare))
		}
	}
	if who == nil {
		return ""
	}
	return "the load generator was busy (share of its CPU), so throughput may be its limit: " + strings.Join(who, ", ")
}

// loadless reports whether a cell has no load generator that could be its limit.
func loadless(c suite.Cell) bool {
	s, err := suite.Find(c.Scenario)
	return err != nil || s.Load == "" || s.Load == load.Idle
}
