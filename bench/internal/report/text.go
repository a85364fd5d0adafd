package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/suite"
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
	metrics := Metrics(t.Cell.Scenario)
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
	writeGrid(b, grid)
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
	where := map[suite.Mode]string{
		suite.Same: "same: server and load share one CPU",
		suite.Sep:  "sep: server and load have a CPU each",
		suite.Free: "free: nothing pinned",
	}[c.Mode]
	what := fmt.Sprintf("%d connections, %d B", c.Conns, c.Size)
	if c.Conns == 1 {
		what = fmt.Sprintf("1 connection, %d B", c.Size)
	}
	if c.Scenario == load.Echo && c.Pipeline > 1 {
		what += fmt.Sprintf(", %d in flight each", c.Pipeline)
	}
	return fmt.Sprintf("%s · %s · %s", c.Scenario, what, where)
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
		return ""
	}
	return "noise (std against itself): " + strings.Join(parts, ", ") + "; smaller differences say nothing"
}

func busy(t Table) string {
	if t.Cell.Mode == suite.Same || t.Cell.Scenario == load.Idle {
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
