package report

import (
	"slices"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/suite"
	"github.com/ouro-io/ouro/bench/protocol"
)

// Spread is a median with its extremes.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// N is the number of values.
	N int `json:"n"`
}

func spreadOf(v []float64) *Spread {
	if len(v) == 0 {
		return nil
	}
	v = slices.Sorted(slices.Values(v))
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (v[len(v)/2-1] + mid) / 2
	}
	return &Spread{Median: mid, Min: v[0], Max: v[len(v)-1], N: len(v)}
}

// Figure is one metric of one contestant in one cell. Ratios are nil where there is nothing to relate to.
type Figure struct {
	Value *Spread `json:"value"`
	// ToBaseline is the ratio to std, ToLimit that to the C io_uring server, each within the round.
	ToBaseline *Spread `json:"toStd,omitempty"`
	ToLimit    *Spread `json:"toLimit,omitempty"`
}

// Row is one contestant in one cell.
type Row struct {
	Contestant string            `json:"contestant"`
	Figures    map[string]Figure `json:"figures,omitempty"`
	// LoadCPUShare is the median share of a CPU that the load generator used.
	LoadCPUShare float64 `json:"loadCpuShare"`
	// Layers is the split of the server's CPU time, as shares of 1, from a profile.
	Layers map[string]float64 `json:"layers,omitempty"`
	// QuantilesNs are the medians of the latency's quantiles, at those of protocol.Quantiles.
	QuantilesNs []float64 `json:"quantilesNs,omitempty"`
	// Failed says why the contestant has no figures, or no more of them.
	Failed string `json:"failed,omitempty"`
}

// Table is one cell.
type Table struct {
	Cell suite.Cell `json:"cell"`
	Rows []Row      `json:"rows"`
	// Resolution is how far a median ratio of this cell may be off, per metric: a difference that is smaller says
	// nothing. See resolution. Empty when the twin did not run.
	Resolution map[string]float64 `json:"resolution,omitempty"`
}

// Summarize makes a table of each cell.
func Summarize(cells []suite.Cell, samples []suite.Sample) []Table {
	tables := make([]Table, len(cells))
	for i, cell := range cells {
		byName := map[string][]suite.Sample{}
		t := Table{Cell: cell}
		for _, s := range samples {
			if s.Cell == i {
				byName[s.Contestant] = append(byName[s.Contestant], s)
			}
		}
		for _, c := range contestant.All() {
			if len(byName[c.Name]) > 0 {
				t.Rows = append(t.Rows, rowOf(cell, c.Name, byName))
			}
		}
		t.Resolution = resolution(cell, t.Rows)
		tables[i] = t
	}
	return tables
}

func rowOf(cell suite.Cell, name string, byName map[string][]suite.Sample) Row {
	r := Row{Contestant: name, Figures: map[string]Figure{}}
	var shares []float64
	for _, s := range byName[name] {
		if s.Error != "" {
			r.Failed = s.Error
		} else if s.Profiled {
			r.Layers = s.Layers
		} else if v, ok := ratio(float64(s.Result.LoadCPUNs), float64(s.Result.WindowNs)); ok {
			shares = append(shares, v)
		}
	}
	if sp := spreadOf(shares); sp != nil {
		r.LoadCPUShare = sp.Median
	}
	r.QuantilesNs = quantilesOf(byName[name])
	for _, m := range MetricsOf(cell) {
		own := valuesByRound(m, byName[name])
		f := Figure{Value: spreadOf(values(own))}
		if f.Value == nil {
			continue
		}
		if m.Related && name != contestant.Baseline {
			f.ToBaseline = spreadOf(ratios(own, valuesByRound(m, byName[contestant.Baseline])))
		}
		if m.Limit && name != limitOf(cell) {
			f.ToLimit = spreadOf(ratios(own, valuesByRound(m, byName[limitOf(cell)])))
		}
		r.Figures[m.Key] = f
	}
	return r
}

// limitOf is the contestant that shows what is possible on the machine.
func limitOf(c suite.Cell) string {
	if s, err := suite.Find(c.Scenario); err == nil && s.Role == protocol.File {
		return "c-file"
	}
	return contestant.Limit
}

// quantilesOf is the median over the rounds at each quantile.
func quantilesOf(samples []suite.Sample) []float64 {
	var out []float64
	for i := range protocol.Quantiles {
		var v []float64
		for _, s := range samples {
			if q := s.Result.Quantiles; s.Error == "" && !s.Profiled && len(q) == len(protocol.Quantiles) {
				v = append(v, float64(q[i]))
			}
		}
		if len(v) == 0 {
			return nil
		}
		out = append(out, spreadOf(v).Median)
	}
	return out
}

func valuesByRound(m Metric, samples []suite.Sample) map[int]float64 {
	out := map[int]float64{}
	profiled := m.profiled && slices.ContainsFunc(samples, func(s suite.Sample) bool { return s.Profiled && s.Error == "" })
	for _, s := range samples {
		if s.Error != "" || s.Profiled != profiled {
			continue
		}
		if v, ok := m.value(s); ok {
			out[s.Round] = v
		}
	}
	return out
}

func values(byRound map[int]float64) []float64 {
	var out []float64
	for _, v := range byRound {
		out = append(out, v)
	}
	return out
}

// ratios relates the rounds in which both have a value.
func ratios(a, b map[int]float64) []float64 {
	var out []float64
	for round, v := range a {
		if base, ok := b[round]; ok && base > 0 {
			out = append(out, v/base)
		}
	}
	return out
}
