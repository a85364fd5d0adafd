package protocol

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax is the largest latency that a histogram holds; longer ones count as it.
const latencyMax = int64(time.Minute)

// NewHistogram makes a histogram of latencies in nanoseconds with three significant digits.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, latencyMax, 3) }

// Record adds a latency.
func Record(h *hdrhistogram.Histogram, ns int64) {
	h.RecordValue(min(max(ns, 1), latencyMax)) //nolint:errcheck // it is in range
}

// Quantiles are those at which Result.Quantiles has the latency, in percent.
var Quantiles = []float64{0, 5, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100}

// SetLatency copies what h holds.
func (r *Result) SetLatency(h *hdrhistogram.Histogram) {
	if h.TotalCount() == 0 {
		return
	}
	r.P50Ns, r.P99Ns, r.MaxNs = h.ValueAtQuantile(50), h.ValueAtQuantile(99), h.Max()
	r.Quantiles = make([]int64, len(Quantiles))
	for i, q := range Quantiles {
		r.Quantiles[i] = h.ValueAtQuantile(q)
	}
}
