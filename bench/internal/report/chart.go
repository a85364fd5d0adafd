package report

import (
	"slices"
	"strconv"

	"github.com/ouro-io/ouro/bench/internal/layers"
	"github.com/ouro-io/ouro/bench/protocol"
)

// chart is one picture, drawn by assets/report.js.
type chart struct {
	Index  int    `json:"-"`
	Height int    `json:"-"`
	Kind   string `json:"kind"` // bars, lines, stacked
	Title  string `json:"title"`
	Unit   string `json:"unit"`
	XTitle string `json:"xTitle,omitempty"`
	Log    bool   `json:"log,omitempty"`
	// Labels are the bars' names, or the places on the x axis.
	Labels []string  `json:"labels"`
	Values []float64 `json:"values,omitempty"`
	Min    []float64 `json:"min,omitempty"`
	Max    []float64 `json:"max,omitempty"`
	Series []series  `json:"series,omitempty"`
}

// series is one line, or one part of stacked bars. A nil value is a gap.
type series struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"`
}

// Heights in CSS pixels.
const (
	barHeight   = 24
	axisHeight  = 44
	legendRoom  = 90
	linesHeight = 340
)

func (p *page) add(c *chart) *chart {
	c.Index = len(p.charts)
	p.charts = append(p.charts, c)
	return c
}

// cellCharts are the pictures of one cell: its first two related metrics, the latencies and the CPU's split.
func (p *page) cellCharts(t Table, metrics []Metric) []*chart {
	var out []*chart
	drawn := 0
	for _, m := range metrics {
		if drawn == 2 || !m.Related && drawn > 0 {
			continue
		}
		if c := barsOf(t, m); c != nil {
			out = append(out, p.add(c))
			drawn++
		}
	}
	for _, c := range []*chart{curvesOf(t), layersOf(t, metrics)} {
		if c != nil {
			out = append(out, p.add(c))
		}
	}
	return out
}

func barsOf(t Table, m Metric) *chart {
	c := &chart{Kind: "bars", Title: m.long(), Unit: m.unit()}
	for _, r := range t.Rows {
		if v := r.Figures[m.Key].Value; v != nil {
			c.Labels = append(c.Labels, r.Contestant)
			c.Values, c.Min, c.Max = append(c.Values, v.Median), append(c.Min, v.Min), append(c.Max, v.Max)
		}
	}
	c.Height = axisHeight + barHeight*len(c.Labels)
	if len(c.Labels) == 0 {
		return nil
	}
	return c
}

// curvesOf are the latencies over their quantiles.
func curvesOf(t Table) *chart {
	c := &chart{Kind: "lines", Title: "Latency by percentile", Unit: "ns", XTitle: "percentile", Log: true, Height: linesHeight}
	from := slices.Index(protocol.Quantiles, 25)
	for _, q := range protocol.Quantiles[from:] {
		c.Labels = append(c.Labels, strconv.FormatFloat(q, 'g', -1, 64))
	}
	for _, r := range t.Rows {
		if len(r.QuantilesNs) != len(protocol.Quantiles) {
			continue
		}
		s := series{Name: r.Contestant}
		for _, v := range r.QuantilesNs[from:] {
			s.Values = append(s.Values, &v)
		}
		c.Series = append(c.Series, s)
	}
	if len(c.Series) == 0 {
		return nil
	}
	c.Height += 8 * len(c.Series)
	return c
}

// layersOf multiplies the profile's shares with the CPU time per request that was measured without it.
func layersOf(t Table, metrics []Metric) *chart {
	at := slices.IndexFunc(metrics, func(m Metric) bool { return m.Limit })
	if at < 0 {
		return nil
	}
	m := metrics[at]
	c := &chart{Kind: "stacked", Title: m.long() + ", by layer", Unit: "ns"}
	for _, l := range layers.All {
		c.Series = append(c.Series, series{Name: l})
	}
	for _, r := range t.Rows {
		cpu := r.Figures[m.Key].Value
		if len(r.Layers) == 0 || cpu == nil {
			continue
		}
		c.Labels = append(c.Labels, r.Contestant)
		for i, l := range layers.All {
			v := r.Layers[l] * cpu.Median
			c.Series[i].Values = append(c.Series[i].Values, &v)
		}
	}
	if len(c.Labels) == 0 {
		return nil
	}
	c.Height = axisHeight + legendRoom + barHeight*len(c.Labels)
	return c
}

// scaling draws the first metric over the number of connections, for each set of cells that differ in nothing else.
func (p *page) scaling(tables []Table) []*chart {
	type key struct {
		mode, variant  string
		size, pipeline int
		rate           int
	}
	groups := map[key][]Table{}
	var order []key
	for _, t := range tables {
		c := t.Cell
		k := key{string(c.Mode), c.Variant, c.Size, c.Pipeline, c.Rate}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], t)
	}
	var out []*chart
	for _, k := range order {
		g := groups[k]
		if len(g) < 3 {
			continue
		}
		slices.SortFunc(g, func(a, b Table) int { return a.Cell.Conns - b.Cell.Conns })
		metrics := MetricsOf(g[0].Cell)
		for _, m := range metrics[:min(2, len(metrics))] {
			if m.Related {
				out = append(out, p.add(scalingOf(g, m, k.mode)))
			}
		}
	}
	return out
}

func scalingOf(tables []Table, m Metric, mode string) *chart {
	c := &chart{Kind: "lines", Title: m.long() + " over connections, × std (" + mode + ")", Unit: "times", XTitle: "connections"}
	var names []string
	for _, t := range tables {
		c.Labels = append(c.Labels, strconv.Itoa(t.Cell.Conns))
		for _, r := range t.Rows {
			if r.Figures[m.Key].ToBaseline != nil && !slices.Contains(names, r.Contestant) {
				names = append(names, r.Contestant)
			}
		}
	}
	for _, name := range names {
		s := series{Name: name}
		for _, t := range tables {
			var v *float64
			for _, r := range t.Rows {
				if f := r.Figures[m.Key].ToBaseline; r.Contestant == name && f != nil {
					v = &f.Median
				}
			}
			s.Values = append(s.Values, v)
		}
		c.Series = append(c.Series, s)
	}
	c.Height = linesHeight + 8*len(names)
	return c
}
