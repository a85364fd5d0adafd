package report

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

//go:embed assets
var assets embed.FS

// page is what the template is filled with.
type page struct {
	Title, Machine, Method string
	Disturbed              string
	Emulated               bool
	Overview               *overview
	Sections               []section
	Contestants            []*contestant.Contestant
	CSS                    template.CSS
	Data, Library, Script  template.JS
	charts                 []*chart
}

// section is a scenario.
type section struct {
	Name, About string
	Charts      []*chart
	Cells       []cellView
}

// cellView is a cell with its charts and its table.
type cellView struct {
	Condition string
	Open      bool
	Charts    []*chart
	Heads     []string
	Rows      [][]entry
	Notes     []string
}

// entry is a field of a table; Class is win, lose or empty.
type entry struct{ Text, Class string }

// overview is the table at the top: the first metric of each cell, as ratios.
type overview struct {
	Heads []string
	Rows  []overviewRow
}

type overviewRow struct {
	Scenario, Condition, Metric, Noise string
	Cells                              []entry
}

var pageTemplate = sync.OnceValues(func() (*template.Template, error) {
	return template.ParseFS(assets, "assets/report.html")
})

// WriteHTML prints d as a page that needs nothing else: styles, charts and the library that draws them are in it.
func WriteHTML(w io.Writer, d Document) error {
	t, err := pageTemplate()
	if err != nil {
		return err
	}
	p, err := newPage(d)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

func newPage(d Document) (*page, error) {
	e := d.Environment
	p := &page{
		Title: "ouro benchmark, " + e.Time.Format(time.DateOnly),
		Machine: fmt.Sprintf("Linux %s, %s, %d CPUs, %s, TCP %s, ouro %s", e.Kernel, e.CPU, e.CPUs, e.Go, e.TCP,
			cmp.Or(e.Modules["github.com/ouro-io/ouro"], "(devel)")),
		Method: fmt.Sprintf("%d interleaved rounds, %v measured each after %v of warm-up, loopback, fresh processes for every measurement.",
			d.Rounds, time.Duration(d.WindowNs).Round(time.Millisecond), time.Duration(d.WarmupNs).Round(time.Millisecond)),
		Disturbed: e.Disturbed(),
		Emulated:  e.Emulated,
	}
	taking := map[string]bool{}
	for _, t := range d.Tables {
		for _, r := range t.Rows {
			taking[r.Contestant] = true
		}
	}
	p.Contestants = slices.DeleteFunc(contestant.All(), func(c *contestant.Contestant) bool { return !taking[c.Name] })
	for _, s := range suite.All() {
		p.addSection(s, d.Tables)
	}
	p.Overview = overviewOf(d.Tables)
	return p, p.load()
}

// load reads the parts that do not depend on results, and writes down the charts.
func (p *page) load() error {
	for _, a := range []struct {
		file string
		set  func(string)
	}{
		{"report.css", func(s string) { p.CSS = template.CSS(s) }},
		{"report.js", func(s string) { p.Script = template.JS(s) }},
		{"chart.umd.min.js", func(s string) {
			p.Library = template.JS(strings.ReplaceAll(s, "//# sourceMappingURL=chart.umd.min.js.map", ""))
		}},
	} {
		b, err := assets.ReadFile("assets/" + a.file)
		if err != nil {
			return err
		}
		a.set(string(b))
	}
	// encoding/json writes <, > and & as escapes, so nothing in it can end the script element.
	b, err := json.Marshal(p.charts)
	p.Data = template.JS(b)
	return err
}

func (p *page) addSection(s *suite.Scenario, tables []Table) {
	sec := section{Name: s.Name, About: strings.ToUpper(s.About[:1]) + s.About[1:]}
	var mine []Table
	for _, t := range tables {
		if t.Cell.Scenario == s.Name {
			mine = append(mine, t)
		}
	}
	if len(mine) == 0 {
		return
	}
	sec.Charts = p.scaling(mine)
	for _, t := range mine {
		sec.Cells = append(sec.Cells, p.cell(t, len(mine) == 1))
	}
	p.Sections = append(p.Sections, sec)
}

func (p *page) cell(t Table, open bool) cellView {
	metrics := MetricsOf(t.Cell)
	v := cellView{Condition: Condition(t.Cell), Open: open, Charts: p.cellCharts(t, metrics), Heads: []string{"contestant"}}
	for _, m := range metrics {
		v.Heads = append(v.Heads, m.Title)
		if m.Related {
			v.Heads = append(v.Heads, "× std")
		}
		if m.Limit {
			v.Heads = append(v.Heads, "× C")
		}
	}
	for _, r := range t.Rows {
		if r.Failed != "" {
			v.Notes = append(v.Notes, r.Contestant+": "+r.Failed)
		}
		if len(r.Figures) == 0 {
			continue
		}
		row := []entry{{Text: r.Contestant}}
		for _, m := range metrics {
			row = append(row, entries(t, m, r.Figures[m.Key])...)
		}
		v.Rows = append(v.Rows, row)
	}
	for _, n := range []string{noise(t, metrics), busy(t)} {
		if n != "" {
			v.Notes = append(v.Notes, n)
		}
	}
	return v
}

// entries are the fields of one figure.
func entries(t Table, m Metric, f Figure) []entry {
	out := []entry{{Text: "–"}}
	if f.Value != nil {
		out[0].Text = m.format(f.Value.Median)
	}
	if m.Related {
		e := entry{Text: times(f.ToBaseline)}
		if f.ToBaseline != nil {
			e.Text += " (" + extremes(f.ToBaseline) + ")"
			e.Class = verdict(t, m, f)
		}
		out = append(out, e)
	}
	if m.Limit {
		out = append(out, entry{Text: times(f.ToLimit)})
	}
	return out
}

// verdict is win or lose where a ratio is further from 1 than the noise, and than 5 %. Without a twin there is no
// verdict.
func verdict(t Table, m Metric, f Figure) string {
	if _, ok := t.Resolution[m.Key]; !ok || f.ToBaseline == nil {
		return ""
	}
	d := f.ToBaseline.Median - 1
	if !m.MoreIsBetter {
		d = -d
	}
	switch limit := noiseOf(t, m, f); {
	case d > limit:
		return "win"
	case d < -limit:
		return "lose"
	}
	return ""
}

// inShort are the contestants of the overview.
var inShort = []string{"ouro-serve", "ouro-serve-epoll", "ouro-callbacks", "ouro-goroutines", "gnet", contestant.Limit}

func overviewOf(tables []Table) *overview {
	o := &overview{Heads: inShort}
	for _, t := range tables {
		metrics := MetricsOf(t.Cell)
		if len(metrics) == 0 {
			continue
		}
		m := metrics[0]
		row := overviewRow{Scenario: t.Cell.Scenario, Condition: condition(t.Cell) + ", " + string(t.Cell.Mode),
			Metric: m.Title, Noise: "–"}
		if n, ok := t.Resolution[m.Key]; ok {
			row.Noise = fmt.Sprintf("±%.0f %%", 100*n)
		}
		some := false
		for _, name := range inShort {
			e := entry{}
			for _, r := range t.Rows {
				if f := r.Figures[m.Key]; r.Contestant == name && f.ToBaseline != nil {
					e = entry{Text: times(f.ToBaseline), Class: verdict(t, m, f)}
					some = true
				}
			}
			row.Cells = append(row.Cells, e)
		}
		if some {
			o.Rows = append(o.Rows, row)
		}
	}
	if len(o.Rows) == 0 {
		return nil
	}
	return o
}
