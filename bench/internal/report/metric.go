package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/suite"
	"github.com/ouro-io/ouro/bench/protocol"
)

// Metric is one figure taken from each sample of a scenario.
type Metric struct {
	// Key names it in JSON, with its unit at the end; Title heads its column.
	Key, Title string
	// Related asks for a column with the ratio to the baseline, Limit for one with the ratio to the C server.
	Related, Limit bool
	// MoreIsBetter says in which direction a contestant wins.
	MoreIsBetter bool
	// profiled takes the value from the profiled round where there is one.
	profiled bool
	// value reports false for a sample that has no such figure.
	value  func(suite.Sample) (float64, bool)
	format func(float64) string
}

// Metrics lists those of the scenario called name; the first is the one that the noise is judged by.
func Metrics(name string) []Metric {
	s, err := suite.Find(name)
	if err != nil {
		return nil
	}
	switch {
	case s.Role == protocol.File:
		return slices.Concat([]Metric{rate("blocks/s", "blocksPerSecond"), cpuPer("CPU/block", "cpuNsPerBlock")}, latency("p50", "p99"), []Metric{switches})
	case s.Role == protocol.Timers:
		return slices.Concat([]Metric{cpuPer("CPU/timer", "cpuNsPerTimer")}, latency("late p50", "late p99"),
			[]Metric{memory("PSS/timer", "pssBytesPerTimer", 0)})
	}
	switch s.Load {
	case load.Sink:
		return []Metric{bytesRate, cpuPerMiB}
	case load.Idle:
		return []Metric{memory("PSS/conn", "pssBytesPerConnection", 1),
			{Key: "kernelBytesPerConnection", Title: "kernel/conn", format: plainBytes, value: kernelPerConn},
			{Key: "idleCpuShare", Title: "idle CPU", value: idleShare, format: percent}}
	case load.Churn:
		return slices.Concat([]Metric{cpuPer("CPU/conn", "serverCpuNsPerConnection"), rate("conn/s", "connectionsPerSecond")}, latency("p50", "p99"), []Metric{switches, syscalls})
	case load.Broadcast:
		return slices.Concat([]Metric{cpuPer("CPU/delivery", "serverCpuNsPerDelivery"), rate("deliveries/s", "deliveriesPerSecond")}, latency("p50", "p99"), []Metric{switches, syscalls})
	case load.Skew, load.Block:
		return slices.Concat([]Metric{rate("req/s", "requestsPerSecond"), cpuPer("CPU/req", "serverCpuNsPerRequest")}, latency("p50", "p99"), []Metric{switches, syscalls})
	}
	if s.Rate > 0 {
		return slices.Concat([]Metric{cpuPer("CPU/req", "serverCpuNsPerRequest")}, latency("p50", "p99"),
			[]Metric{{Key: "p999Ns", Title: "p99.9", format: nanos, value: quantile(99.9)}, rate("req/s", "requestsPerSecond"),
				{Key: "behind", Title: "not sent", format: count, value: func(s suite.Sample) (float64, bool) { return float64(s.Result.Behind), s.Result.WindowNs > 0 }}})
	}
	if s.Size >= bulkSize {
		return []Metric{bytesRate, cpuPerMiB, {Key: "p99Ns", Title: "p99", format: nanos, value: quantile(99)}, switches}
	}
	m := slices.Concat([]Metric{cpuPer("CPU/req", "serverCpuNsPerRequest"), rate("req/s", "requestsPerSecond")}, latency("p50", "p99"), []Metric{switches, syscalls})
	if s.Load == load.UDP {
		m = append(m, Metric{Key: "lost", Title: "lost", format: count, value: func(s suite.Sample) (float64, bool) { return float64(s.Result.Lost), s.Result.WindowNs > 0 }})
	}
	return m
}

// bulkSize is from which message size on bytes are counted in place of messages.
const bulkSize = 64 << 10

var (
	switches = Metric{Key: "switchesPerRequest", Title: "ctx/req", format: twoDigits, value: func(s suite.Sample) (float64, bool) {
		return ratio(float64(s.Result.ServerSwitches), requestsOf(s))
	}}
	syscalls = Metric{Key: "syscallsPerRequest", Title: "sys/req", format: twoDigits, profiled: true,
		value: func(s suite.Sample) (float64, bool) { return s.SyscallsPerRequest, s.SyscallsPerRequest > 0 }}
	bytesRate = Metric{Key: "bytesPerSecond", Title: "throughput", Related: true, MoreIsBetter: true, value: perSecond(bytesOf), format: rateOfBytes}
	cpuPerMiB = Metric{Key: "serverCpuNsPerMiB", Title: "CPU/MiB", Related: true, Limit: true, format: nanos,
		value: func(s suite.Sample) (float64, bool) {
			return ratio(float64(s.Result.ServerCPUNs), bytesOf(s)/(1<<20))
		}}
)

// cpuPer is the server's CPU time per request, rate what is done per second.
func cpuPer(title, key string) Metric {
	return Metric{Key: key, Title: title, Related: true, Limit: true, format: nanos,
		value: func(s suite.Sample) (float64, bool) { return ratio(float64(s.Result.ServerCPUNs), requestsOf(s)) }}
}

func rate(title, key string) Metric {
	return Metric{Key: key, Title: title, Related: true, MoreIsBetter: true, value: perSecond(requestsOf), format: count}
}

func latency(p50, p99 string) []Metric {
	return []Metric{{Key: "p50Ns", Title: p50, format: nanos, value: quantile(50)},
		{Key: "p99Ns", Title: p99, Related: true, format: nanos, value: quantile(99)}}
}

// memory is the process's per request; those that went first, and were there before, are not counted.
func memory(title, key string, first float64) Metric {
	return Metric{Key: key, Title: title, Related: true, format: plainBytes, value: func(s suite.Sample) (float64, bool) {
		return ratio(float64(s.Result.PSSBytes), float64(s.Result.TotalRequests)-first)
	}}
}

// MetricsOf lists those of a cell. Reads that the page cache answers never wait: goroutines then have no more of them in
// flight than there are CPUs, whatever the cell asks for, and a batch or a ring has all. Their latencies are those of queues
// of different lengths, so they are shown and not related.
func MetricsOf(c suite.Cell) []Metric {
	out := Metrics(c.Scenario)
	if c.Variant != suite.RandomCached && c.Variant != suite.SequentialCached {
		return out
	}
	for i := range out {
		if out[i].Key == "p99Ns" {
			out[i].Related = false
		}
	}
	return out
}

// quantile is the latency at q percent, one of protocol.Quantiles.
func quantile(q float64) func(suite.Sample) (float64, bool) {
	at := slices.Index(protocol.Quantiles, q)
	return func(s suite.Sample) (float64, bool) {
		if len(s.Result.Quantiles) != len(protocol.Quantiles) {
			return 0, false
		}
		return float64(s.Result.Quantiles[at]), true
	}
}

func kernelPerConn(s suite.Sample) (float64, bool) {
	return ratio(float64(s.Result.KernelBytes), float64(s.Result.TotalRequests)-1)
}

// long is the metric's title written out, for charts.
func (m Metric) long() string {
	switch {
	case strings.HasPrefix(m.Title, "CPU/"):
		return "Server CPU per " + strings.Replace(strings.TrimPrefix(m.Title, "CPU/"), "req", "request", 1)
	case m.Title == "req/s":
		return "Requests per second"
	case m.Title == "PSS/conn":
		return "Process memory per connection"
	}
	return strings.ToUpper(m.Title[:1]) + m.Title[1:]
}

// unit is one of those that the charts know.
func (m Metric) unit() string {
	switch {
	case strings.HasPrefix(m.Key, "bytesPerSecond"):
		return "byterate"
	case strings.HasSuffix(m.Key, "PerSecond"):
		return "rate"
	case strings.Contains(strings.ToLower(m.Key), "bytes"):
		return "bytes"
	case strings.Contains(m.Key, "Ns"):
		return "ns"
	case strings.HasSuffix(m.Key, "Share"):
		return "share"
	}
	return "count"
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

func twoDigits(v float64) string { return fmt.Sprintf("%.2f", v) }

func plainBytes(v float64) string { return fmt.Sprintf("%.0f B", v) }

func percent(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }

func rateOfBytes(v float64) string { return fmt.Sprintf("%.2f GB/s", v/1e9) }
