package report

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sampleOf is a second in which requests were served for cpu each.
func sampleOf(name string, round int, requests uint64, cpu time.Duration) suite.Sample {
	return suite.Sample{Contestant: name, Round: round, Result: load.Result{Requests: requests, TotalRequests: requests,
		WindowNs: 1e9, ServerCPUNs: int64(cpu) * int64(requests), LoadCPUNs: 7e8, P50Ns: 1000, P99Ns: 2000, MaxNs: 3000,
		Quantiles: []int64{1, 1, 1, 1, 1000, 1, 1, 1, 1, 2000, 1, 1, 1, 1, 1, 3000}}}
}

var echoCell = suite.Cell{Scenario: suite.EchoName, Mode: suite.Sep, Conns: 64, Size: 64, Pipeline: 1}

func summarize(s ...suite.Sample) []Table { return Summarize([]suite.Cell{echoCell}, s) }

func TestRatiosAreTakenWithinTheRound(t *testing.T) {
	var s []suite.Sample
	// The machine halves its speed in the second round, which must not show in the ratios.
	for round, slow := range []time.Duration{1, 2, 1} {
		s = append(s,
			sampleOf("std", round, 1000, 10*slow*time.Microsecond),
			sampleOf("std-again", round, 1000, 10*slow*time.Microsecond),
			sampleOf("gnet", round, 1500, 8*slow*time.Microsecond),
			sampleOf("c-uring", round, 2000, 4*slow*time.Microsecond))
	}
	tables := summarize(s...)
	require.Len(t, tables, 1)
	g := tables[0].Rows[2]
	require.Equal(t, "gnet", g.Contestant)
	require.Equal(t, &Spread{Median: 8000, Min: 8000, Max: 16000, N: 3}, g.Figures["serverCpuNsPerRequest"].Value)
	require.Equal(t, &Spread{Median: 0.8, Min: 0.8, Max: 0.8, N: 3}, g.Figures["serverCpuNsPerRequest"].ToBaseline)
	require.Equal(t, &Spread{Median: 2, Min: 2, Max: 2, N: 3}, g.Figures["serverCpuNsPerRequest"].ToLimit)
	require.Equal(t, &Spread{Median: 1.5, Min: 1.5, Max: 1.5, N: 3}, g.Figures["requestsPerSecond"].ToBaseline)
	require.Zero(t, tables[0].Resolution["serverCpuNsPerRequest"])
	require.Nil(t, tables[0].Rows[0].Figures["serverCpuNsPerRequest"].ToBaseline)
	require.InDelta(t, 0.7, g.LoadCPUShare, 1e-9)
}

func TestResolutionIsWhatTwinsDifferBy(t *testing.T) {
	tables := summarize(
		sampleOf("std", 0, 1000, 10000), sampleOf("std-again", 0, 1000, 10000),
		sampleOf("std", 1, 1000, 10000), sampleOf("std-again", 1, 1000, 11500),
		sampleOf("std", 2, 1000, 10000), sampleOf("std-again", 2, 1000, 8500),
	)
	// By its median the twin is no other; by its scatter (the logarithm of the range over 1.693) a median may be off.
	want := 2 * math.Log(1.15/0.85) / 1.693 * math.Sqrt(math.Pi/2/3)
	require.InDelta(t, want, tables[0].Resolution["serverCpuNsPerRequest"], 1e-9)
	// The other way: steady, but at a distance.
	steady := []suite.Sample{sampleOf("std", 0, 1000, 10000), sampleOf("std-again", 0, 1000, 12000)}
	require.Nil(t, summarize(steady...)[0].Resolution, "of one round nothing is known")
	tables = summarize(append(steady, sampleOf("std", 1, 1000, 10000), sampleOf("std-again", 1, 1000, 12000))...)
	require.InDelta(t, 0.2, tables[0].Resolution["serverCpuNsPerRequest"], 1e-9)
}

func TestFailuresAreToldAndHaveNoRatio(t *testing.T) {
	broken := suite.Sample{Contestant: "std", Round: 1, Error: "died: signal: killed"}
	tables := summarize(
		sampleOf("std", 0, 1000, 10000), sampleOf("gnet", 0, 1000, 5000), broken, sampleOf("gnet", 1, 1000, 7000),
		suite.Sample{Contestant: "c-uring", Error: "gcc is not installed"},
	)
	require.Equal(t, 1, tables[0].Rows[1].Figures["serverCpuNsPerRequest"].ToBaseline.N)
	var b strings.Builder
	require.NoError(t, WriteText(&b, tables))
	require.Contains(t, b.String(), "std: died: signal: killed")
	require.Contains(t, b.String(), "c-uring: gcc is not installed")
	require.Contains(t, b.String(), "load generator was busy")
}

func TestTextLinesUp(t *testing.T) {
	tables := summarize(sampleOf("std", 0, 1000, 10000), sampleOf("std-again", 0, 1000, 10000),
		sampleOf("gnet", 0, 50000, 123456))
	var b strings.Builder
	require.NoError(t, WriteText(&b, tables))
	want := `
echo · 64 connections, 64 B · sep: server and load have a CPU each
  server      CPU/req  × std    (min–max)  req/s  × std    (min–max)      p50      p99  × std  (min–max)  ctx/req  sys/req
  std        10.00 µs                       1000                      1.00 µs  2.00 µs                       0.00        –
  std-again  10.00 µs   1.00    1.00–1.00   1000   1.00    1.00–1.00  1.00 µs  2.00 µs   1.00  1.00–1.00     0.00        –
  gnet         123 µs  12.35  12.35–12.35  50000  50.00  50.00–50.00  1.00 µs  2.00 µs   1.00  1.00–1.00     0.00        –
  noise: unknown, as one round shows none; no difference says anything
  the load generator was busy (share of its CPU), so throughput may be its limit: std 70 %, std-again 70 %, gnet 70 %
`
	require.Equal(t, want, b.String())
}

func TestMedianOfAnEvenNumber(t *testing.T) {
	require.Equal(t, &Spread{Median: 2.5, Min: 1, Max: 4, N: 4}, spreadOf([]float64{4, 1, 3, 2}))
	require.Nil(t, spreadOf(nil))
}

func TestEveryScenarioHasFigures(t *testing.T) {
	s := sampleOf("std", 0, 1000, 10000)
	s.Result.Bytes, s.Result.PSSBytes, s.SyscallsPerRequest = 1<<30, 1<<20, 1
	s.Result.KernelBytes, s.Result.ServerSwitches = 1<<20, 1
	for _, sc := range suite.All() {
		require.NotEmpty(t, Metrics(sc.Name), sc.Name)
		for _, m := range Metrics(sc.Name) {
			v, ok := m.value(s)
			require.True(t, ok, "%s %s", sc.Name, m.Key)
			require.NotEmpty(t, m.format(v))
			// A sample with nothing in it has no figure, in place of an infinite one.
			_, ok = m.value(suite.Sample{})
			require.False(t, ok, "%s %s", sc, m.Key)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	samples := []suite.Sample{sampleOf("std", 0, 1000, 10000), sampleOf("gnet", 0, 1000, 5000)}
	d := Document{Environment: ReadEnvironment(), Rounds: 1, Tables: summarize(samples...), Samples: samples}
	require.NotEmpty(t, d.Environment.Kernel)
	var b bytes.Buffer
	require.NoError(t, WriteJSON(&b, d))
	var got Document
	require.NoError(t, json.Unmarshal(b.Bytes(), &got))
	require.Equal(t, d.Tables, got.Tables)
	require.Equal(t, d.Samples, got.Samples)
}

// TestClaimsNeedMoreThanNoise: a share that the noise can move over a bound decides nothing.
func TestClaimsNeedMoreThanNoise(t *testing.T) {
	require.Equal(t, "confirmed", judgePerformance("medium", 0.7, 0.05, true))
	require.Equal(t, "refuted", judgePerformance("high", 0.7, 0.05, true))
	require.Equal(t, undecided, judgePerformance("high", 0.8, 0.1, true))
	require.Equal(t, undecided, judgePerformance("medium", 0.8, 0.1, true))
	require.Equal(t, "confirmed", judgePerformance("high", 1, 0.1, true), "high or highest: high is right")
	require.Equal(t, "confirmed", judgePerformance("highest", 0.95, 0.1, true))
	require.Equal(t, "refuted", judgePerformance("highest", 0.85, 0.1, true))
	require.Contains(t, judgePerformance("high", 1, 0.05, false), "undecided")
}
