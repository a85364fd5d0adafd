package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/pattern"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// Part is a piece of a document that is made from results. It stands in its file between "<!-- generated: NAME -->" and
// "<!-- end of NAME -->".
type Part struct {
	// File is relative to the documents' folder.
	File, Name string
	Make       func(Document) string
}

// Parts lists them all.
func Parts() []Part {
	return []Part{
		{"benchmarks.md", "machine", machinePart},
		{"benchmarks.md", "scenarios", func(Document) string { return scenarioPart() }},
		{"benchmarks.md", "contestants", func(Document) string { return contestantPart() }},
		{"benchmarks.md", "results", resultPart},
		{"benchmarks.md", "losses", lossPart},
		{"choosing.md", "tree", func(Document) string { return treePart() }},
		{"choosing.md", "matrix", matrixPart},
		{"choosing.md", "claims", claimPart},
	}
}

// Replace puts part name into text.
func Replace(text, name, part string) (string, error) {
	begin, end := "<!-- generated: "+name+" -->", "<!-- end of "+name+" -->"
	i := strings.Index(text, begin)
	j := strings.Index(text, end)
	if i < 0 || j < i {
		return "", fmt.Errorf("%q and %q are not both there, in this order", begin, end)
	}
	return text[:i+len(begin)] + "\n\n" + strings.TrimSpace(part) + "\n\n" + text[j:], nil
}

// table is a table in Markdown.
func table(rows [][]string) string {
	var b strings.Builder
	for i, r := range rows {
		b.WriteString("| " + strings.Join(r, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(r)) + "\n")
		}
	}
	return b.String()
}

func machinePart(d Document) string {
	e := d.Environment
	s := fmt.Sprintf("Linux %s, %s, %d CPUs, %s, TCP %s; profile %s, %d rounds of %v, %s.", e.Kernel, e.CPU, e.CPUs, e.Go, e.TCP,
		d.Profile, d.Rounds, time.Duration(d.WindowNs).Round(time.Millisecond), e.Time.Format(time.DateOnly))
	if w := e.Disturbed(); w != "" {
		s += " **" + w + "**"
	}
	if e.Emulated {
		s += " **Emulated: these figures say nothing about speed.**"
	}
	return s
}

func scenarioPart() string {
	rows := [][]string{{"scenario", "what is measured"}}
	for _, s := range suite.All() {
		rows = append(rows, []string{"`" + s.Name + "`", s.About})
	}
	return table(rows)
}

func contestantPart() string {
	rows := [][]string{{"contestant", "what it is"}}
	for _, c := range contestant.All() {
		rows = append(rows, []string{"`" + c.Name + "`", c.About})
	}
	return table(rows)
}

// resultPart has a table for each scenario: every related figure of every cell, as ratio to package net.
func resultPart(d Document) string {
	var b strings.Builder
	for _, s := range suite.All() {
		for _, t := range d.Tables {
			if t.Cell.Scenario != s.Name {
				continue
			}
			var metrics []Metric
			for _, m := range MetricsOf(t.Cell) {
				if m.Related {
					metrics = append(metrics, m)
				}
			}
			fmt.Fprintf(&b, "**%s**: %s\n\n%s\n", s.Name, Condition(t.Cell), table(resultRows(t, metrics)))
			for _, r := range t.Rows {
				if r.Failed != "" {
					fmt.Fprintf(&b, "`%s` failed: %s\n\n", r.Contestant, firstWords(r.Failed))
				}
			}
		}
	}
	return b.String()
}

func resultRows(t Table, metrics []Metric) [][]string {
	head := []string{"× package net"}
	noise := []string{"*noise*"}
	for _, m := range metrics {
		head = append(head, m.Title)
		n := "?"
		if v, ok := t.Resolution[m.Key]; ok {
			n = fmt.Sprintf("±%.0f %%", 100*v)
		}
		noise = append(noise, n)
	}
	rows := [][]string{head, noise}
	for _, r := range t.Rows {
		if r.Contestant == contestant.Twin || len(r.Figures) == 0 {
			continue
		}
		row := []string{"`" + r.Contestant + "`"}
		for _, m := range metrics {
			row = append(row, resultField(t, m, r))
		}
		rows = append(rows, row)
	}
	return rows
}

// resultField is package net's own value, or the ratio to it: bold when it wins, italic when it loses, beyond the noise.
func resultField(t Table, m Metric, r Row) string {
	f := r.Figures[m.Key]
	switch {
	case f.Value == nil:
		return ""
	case f.ToBaseline == nil:
		return m.format(f.Value.Median)
	}
	switch s := times(f.ToBaseline); verdict(t, m, f) {
	case "win":
		return "**" + s + "**"
	case "lose":
		return "*" + s + "*"
	default:
		return s
	}
}

// firstWords keeps a failure's text short and free of what Markdown would take for its own.
func firstWords(s string) string {
	const most = 160
	s = strings.NewReplacer("|", "/", "<", "(", ">", ")", "`", "'").Replace(strings.Join(strings.Fields(s), " "))
	// A rival's panic may name the folder that it was built in.
	if i := strings.Index(s, " goroutine "); i > 0 {
		s = s[:i]
	}
	if len(s) > most {
		s = s[:most] + " …"
	}
	return s
}

// lossPart lists where a face of ouro is worse than package net by more than the noise.
func lossPart(d Document) string {
	rows := [][]string{{"scenario", "condition", "contestant", "figure", "× package net", "noise"}}
	for _, t := range d.Tables {
		for _, r := range t.Rows {
			if !strings.HasPrefix(r.Contestant, "ouro") && !strings.HasPrefix(r.Contestant, "fasthttp-serve") {
				continue
			}
			for _, m := range MetricsOf(t.Cell) {
				if f := r.Figures[m.Key]; m.Related && verdict(t, m, f) == "lose" {
					rows = append(rows, []string{t.Cell.Scenario, condition(t.Cell) + ", " + string(t.Cell.Mode), "`" + r.Contestant + "`",
						m.Title, times(f.ToBaseline), fmt.Sprintf("±%.0f %%", 100*noiseOf(t, m, f))})
				}
			}
		}
	}
	if len(rows) == 1 {
		return "Nowhere beyond the noise of this run."
	}
	return table(rows)
}

func treePart() string {
	var b strings.Builder
	for i, p := range pattern.All() {
		fmt.Fprintf(&b, "%d. %s **Yes: %s**, %s.\n", i+1, p.Asks, p.Name, p.About)
	}
	return b.String()
}

// patternRow is one pattern's figures, as far as the results have them.
type patternRow struct {
	pattern.Pattern
	rate, cpu, p99, idle *Figure
}

func patternRows(d Document) (rows []patternRow, resolution map[string]float64, cell suite.Cell) {
	for _, p := range pattern.All() {
		rows = append(rows, patternRow{Pattern: p})
	}
	for _, t := range d.Tables {
		idle := t.Cell.Scenario == suite.PatternsIdleName
		if t.Cell.Scenario != suite.PatternsName && !idle || cell.Scenario != "" && !idle {
			continue
		}
		if !idle {
			resolution, cell = t.Resolution, t.Cell
		}
		for _, r := range t.Rows {
			at := slices.IndexFunc(rows, func(p patternRow) bool { return contestant.PatternPrefix+p.Name == r.Contestant })
			if at < 0 {
				continue
			}
			get := func(key string) *Figure {
				if f, ok := r.Figures[key]; ok && f.Value != nil {
					return &f
				}
				return nil
			}
			if idle {
				rows[at].idle = get("pssBytesPerConnection")
				continue
			}
			rows[at].rate, rows[at].cpu, rows[at].p99 = get("requestsPerSecond"), get("serverCpuNsPerRequest"), get("p99Ns")
		}
	}
	return rows, resolution, cell
}

func matrixPart(d Document) string {
	rows, noise, cell := patternRows(d)
	out := [][]string{{"pattern", "requests/s × std", "CPU/request × std", "p99 × std", "bytes per idle connection", "lines of code", "when"}}
	field := func(f *Figure) string {
		if f == nil {
			return "–"
		}
		return times(f.ToBaseline)
	}
	for _, p := range rows {
		idle := "–"
		if p.idle != nil {
			idle = fmt.Sprintf("%.0f", p.idle.Value.Median)
		}
		out = append(out, []string{p.Name, field(p.rate), field(p.cpu), field(p.p99), idle, fmt.Sprint(pattern.Lines(p.Name)), p.Asks})
	}
	return fmt.Sprintf("Echo, %s. Noise: requests/s ±%.0f %%, CPU ±%.0f %%, p99 ±%.0f %%.\n\n%s", Condition(cell),
		100*noise["requestsPerSecond"], 100*noise["serverCpuNsPerRequest"], 100*noise["p99Ns"], table(out))
}
