//go:build linux

package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/file"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

var sendBytes = flag.Int64("send.bytes", 1<<30, "how long the file is that BenchmarkSendFile sends")

const sinkEnv = "OURO_BENCH_SINK"

// TestSink is the receiver of BenchmarkSendFile, in a process of its own, so that the benchmark's CPU is the sender's alone.
func TestSink(t *testing.T) {
	if os.Getenv(sinkEnv) == "" {
		t.Skip("it is the other end of BenchmarkSendFile")
	}
	l, err := stdnet.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	fmt.Println("sink", l.Addr())
	buf := make([]byte, 1<<20)
	for {
		c, err := l.Accept()
		require.NoError(t, err)
		for err == nil {
			_, err = c.Read(buf)
		}
		c.Close()
	}
}

// startSink starts TestSink, on the last processor where there is taskset(1), and returns its address.
func startSink(b *testing.B) string {
	args := []string{os.Args[0], "-test.run=^TestSink$"}
	if taskset, err := exec.LookPath("taskset"); err == nil {
		args = append([]string{taskset, "-c", "1"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), sinkEnv+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for in := bufio.NewScanner(out); in.Scan(); {
		if addr, ok := strings.CutPrefix(in.Text(), "sink "); ok {
			go io.Copy(io.Discard, out)
			return addr
		}
	}
	b.Fatal("no sink")
	return ""
}

// BenchmarkSendFile sends a file that is in the page cache with io.Copy, in turns with package net and os.File, and reports the
// sender's CPU and time in proportion to theirs: medians over the rounds.
//
//	taskset -c 0 go test -run '^$' -bench SendFile -benchtime 9x ./examples/fileserver
func BenchmarkSendFile(b *testing.B) {
	name := filepath.Join(b.TempDir(), "data")
	f, err := os.Create(name)
	require.NoError(b, err)
	for p, left := make([]byte, 1<<20), *sendBytes; left > 0; left -= int64(len(p)) {
		_, err := f.Write(p[:min(int64(len(p)), left)])
		require.NoError(b, err)
	}
	require.NoError(b, f.Close())
	sink := startSink(b)
	type result struct{ cpu, wall float64 }
	send := func(dial func(network, addr string) (stdnet.Conn, error), open func() (io.ReadCloser, error)) func() {
		return func() {
			c, err := dial("tcp", sink)
			require.NoError(b, err)
			defer c.Close()
			f, err := open()
			require.NoError(b, err)
			defer f.Close()
			n, err := io.Copy(c, f)
			require.NoError(b, err)
			require.Equal(b, *sendBytes, n)
		}
	}
	std := func() (io.ReadCloser, error) { return os.Open(name) }
	ours := func() (io.ReadCloser, error) { return file.Open(name) }
	engine, err := proactor.Default()
	require.NoError(b, err)
	onCoroutine := func(f func()) func() {
		return func() {
			done := make(chan struct{})
			require.NoError(b, engine.Executor().Go(func() { defer close(done); f() }))
			<-done
		}
	}
	ways := []struct {
		name string
		run  func()
		all  []result
	}{
		{name: "std", run: send(stdnet.Dial, std)},
		{name: "goroutine, os.File", run: send(net.Dial, std)},
		{name: "goroutine, file.File", run: send(net.Dial, ours)},
		{name: "coroutine, os.File", run: onCoroutine(send(net.Dial, std))},
		{name: "coroutine, file.File", run: onCoroutine(send(net.Dial, ours))},
	}
	for range b.N {
		for i := range ways {
			w := &ways[i]
			cpu, began := usedCPU(), time.Now()
			w.run()
			w.all = append(w.all, result{usedCPU() - cpu, time.Since(began).Seconds()})
		}
	}
	b.ReportMetric(0, "ns/op")
	for i := range ways {
		w := &ways[i]
		var cpus, walls, sums []float64
		for j, r := range w.all {
			cpus = append(cpus, r.cpu/ways[0].all[j].cpu)
			walls = append(walls, ways[0].all[j].wall/r.wall)
			sums = append(sums, r.cpu)
		}
		slices.Sort(cpus)
		b.Logf("%-22s CPU %5.0f ms, of std's %.2f (%.2f to %.2f), speed %.2f", w.name, 1000*median(sums), median(cpus), cpus[0],
			cpus[len(cpus)-1], median(walls))
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// usedCPU is this process's, in seconds.
func usedCPU() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
