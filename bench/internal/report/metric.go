package report

import (
	"fmt"

	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// Metric is one figure taken from each sample of a scenario.
type Metric struct {
	// Key names it in JSON, with its unit at the end; Title heads its column.
	Key, Title string
	// Related asks for a column with the ratio to the baseline, Limit for one with the ratio to the C server.
	Related, Limit bool
	// value reports false for a sample that has no such figure.
	value  func(suite.Sample) (float64, bool)
	format func(float64) string
}

// Metrics lists those of scenario s; the first is the one that the noise is judged by.
func Metrics(s load.Scenario) []Metric {
	switch s {
	case load.Sink:
		return []Metric{
			{Key: "bytesPerSecond", Title: "throughput", Related: true, value: perSecond(bytesOf), format: rateOfBytes},
			{Key: "serverCpuNsPerMiB", Title: "CPU/MiB", Related: true, Limit: true, format: nanos,
				value: func(s suite.Sample) (float64, bool) {
					return ratio(float64(s.Result.ServerCPUNs), bytesOf(s)/(1<<20))
				}},
		}
	case load.Idle:
		return []Metric{
			{Key: "pssBytesPerConnection", Title: "PSS/conn", Related: true, value: perConn, format: plainBytes},
			{Key: "idleCpuShare", Title: "idle CPU", value: idleShare, format: percent},
		}
	default:
		return []Metric{
			{Key: "serverCpuNsPerRequest", Title: "CPU/req", Related: true, Limit: true, format: nanos,
				value: func(s suite.Sample) (float64, bool) {
					return ratio(float64(s.Result.ServerCPUNs), requestsOf(s))
				}},
			{Key: "requestsPerSecond", Title: "req/s", Related: true, value: perSecond(requestsOf), format: count},
			{Key: "p50Ns", Title: "p50", format: nanos, value: field(func(r load.Result) int64 { return r.P50Ns })},
			{Key: "p99Ns", Title: "p99", format: nanos, value: field(func(r load.Result) int64 { return r.P99Ns })},
			{Key: "syscallsPerRequest", Title: "sys/req", format: func(v float64) string { return fmt.Sprintf("%.2f", v) },
				value: func(s suite.Sample) (float64, bool) { return s.SyscallsPerRequest, s.SyscallsPerRequest > 0 }},
		}
	}
}

func ratio(a, b float64) (float64, bool) {
	if b <= 0 {
		return 0, false
	}
	return a / b, true
}

func requestsOf(s suite.Sample) float64 { return float64(s.Result.Requests) }
func bytesOf(s suite.Sample) float64    { return float64(s.Result.Bytes) }

func perSecond(f func(suite.Sample) float64) func(suite.Sample) (float64, bool) {
	return func(s suite.Sample) (float64, bool) { return ratio(f(s)*1e9, float64(s.Result.WindowNs)) }
}

func field(f func(load.Result) int64) func(suite.Sample) (float64, bool) {
	return func(s suite.Sample) (float64, bool) { v := f(s.Result); return float64(v), v > 0 }
}

func perConn(s suite.Sample) (float64, bool) {
	return ratio(float64(s.Result.PSSBytes), float64(s.Result.TotalRequests)-1) // one went first
}

func idleShare(s suite.Sample) (float64, bool) {
	return ratio(float64(s.Result.ServerCPUNs), float64(s.Result.WindowNs))
}

func nanos(v float64) string {
	switch {
	case v < 1e3:
		return fmt.Sprintf("%.0f ns", v)
	case v < 1e5:
		return fmt.Sprintf("%.2f µs", v/1e3)
	case v < 1e6:
		return fmt.Sprintf("%.0f µs", v/1e3)
	default:
		return fmt.Sprintf("%.1f ms", v/1e6)
	}
}

func count(v float64) string { return fmt.Sprintf("%.0f", v) }

func plainBytes(v float64) string { return fmt.Sprintf("%.0f B", v) }

func percent(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }

func rateOfBytes(v float64) string { return fmt.Sprintf("%.2f GB/s", v/1e9) }
