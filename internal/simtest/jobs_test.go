//go:build linux

package simtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A job is a range of seeds that a child process runs, in order, up to the first that fails. It keeps the number of the
// seed that it is at in a file, which tells which one it was when the process dies, and writes a report when it ends.
type job struct {
	First uint64
	Runs  int
	Dir   string // for at and report
}

// jobEnv holds the job of a child, as JSON.
const jobEnv = "OURO_SIM_JOB"

func (j job) at() string     { return filepath.Join(j.Dir, fmt.Sprintf("at-%d", j.First)) }
func (j job) report() string { return filepath.Join(j.Dir, fmt.Sprintf("report-%d", j.First)) }

// summary adds up runs.
type summary struct {
	Runs     int
	Injected map[string]uint64
	Failed   bool
	Seed     uint64
	Why      string
}

func (s *summary) add(o summary) {
	s.Runs += o.Runs
	if s.Injected == nil {
		s.Injected = map[string]uint64{}
	}
	for k, n := range o.Injected {
		s.Injected[k] += n
	}
}

// results are what runs have shown, for docs/reliability.md.
type results struct {
	Sum       summary           // of TestSim
	Files     summary           // of TestSimFiles
	Datagrams summary           // of TestSimDatagrams
	Workers   summary           // of TestSimWorkers
	ZeroCopy  summary           // of TestSimZeroCopy
	Mutations map[string]string // how each was found
}

func (r *results) of(k kind) *summary {
	switch k {
	case files:
		return &r.Files
	case datagrams:
		return &r.Datagrams
	case workers:
		return &r.Workers
	case zeroCopy:
		return &r.ZeroCopy
	}
	return &r.Sum
}

// update changes the results in the file.
func update(path string, f func(*results)) error {
	r := results{Mutations: map[string]string{}}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f(&r)
	if b, err = json.MarshalIndent(r, "", "\t"); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// runJob is the child's part.
func runJob(t *testing.T, of kind) {
	var j job
	require.NoError(t, json.Unmarshal([]byte(os.Getenv(jobEnv)), &j))
	at, err := os.Create(j.at())
	require.NoError(t, err)
	defer at.Close()
	var sum summary
	for i := range uint64(j.Runs) {
		seed := j.First + i
		_, err := at.WriteAt(fmt.Appendf(nil, "%20d", seed), 0)
		require.NoError(t, err)
		w := inBubble(t, of, seeded(seed), false)
		sum.add(summary{Runs: 1, Injected: w.kernel.Injected()})
		if w.failure != "" {
			sum.Failed, sum.Seed, sum.Why = true, seed, w.failure
			break
		}
	}
	b, err := json.Marshal(sum)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(j.report(), b, 0o644))
	if sum.Failed {
		os.Exit(1) // what the run has left behind does not matter
	}
}

// bad is a run that fails.
type bad struct {
	seed  uint64
	why   string
	tape  []uint32
	path  string
	trace string
}

// jobRuns is the number of seeds per child.
const jobRuns = 2500

// runSeeds has children run the seeds, as many at a time as there are processors, until one fails.
func runSeeds(t *testing.T, of kind, first uint64, runs int) (sum summary, failed *bad) {
	dir := t.TempDir()
	todo := make(chan job)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for j := range todo {
				s, b := runChild(t, of, j)
				mu.Lock()
				sum.add(s)
				if b != nil && (failed == nil || b.seed < failed.seed) {
					failed = b
				}
				mu.Unlock()
			}
		})
	}
	per := min(jobRuns, max(1, runs/runtime.GOMAXPROCS(0)))
	for runs > 0 {
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
		n := min(runs, per)
		todo <- job{First: first, Runs: n, Dir: dir}
		first, runs = first+uint64(n), runs-n
	}
	close(todo)
	wg.Wait()
	return sum, failed
}

// stuckAfter is how long a child may be at one seed: a hang guard, as a run takes milliseconds.
const stuckAfter = 90 * time.Second

var errStuck = errors.New("the run does not end: something in it goes on without a pause")

// watch stops a child that stays at one seed for longer than limit, until ctx ends.
func (j job) watch(ctx context.Context, stop context.CancelCauseFunc, limit time.Duration) {
	var at []byte
	since := time.Now()
	for ctx.Err() == nil {
		if now, _ := os.ReadFile(j.at()); !bytes.Equal(now, at) {
			at, since = now, time.Now()
		}
		if time.Since(since) > limit {
			stop(errStuck)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(limit / 90):
		}
	}
}

// A child that stays where it is is stopped, and one that ends before is not waited for.
func TestStuckChild(t *testing.T) {
	j := job{Dir: t.TempDir()}
	require.NoError(t, os.WriteFile(j.at(), []byte("7"), 0o600))
	ctx, stop := context.WithCancelCause(t.Context())
	j.watch(ctx, stop, time.Millisecond)
	require.Equal(t, errStuck, context.Cause(ctx))
	ctx, stop = context.WithCancelCause(t.Context())
	stop(nil)
	j.watch(ctx, stop, time.Hour)
	require.Equal(t, context.Canceled, context.Cause(ctx))
}

func runChild(t *testing.T, of kind, j job) (s summary, b *bad) {
	spec, _ := json.Marshal(j)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	go j.watch(ctx, stop, stuckAfter)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run="+of.test(), "-test.timeout=10m")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // it says where it was
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), jobEnv+"="+string(spec))
	out, err := cmd.CombinedOutput()
	if raw, e := os.ReadFile(j.report()); e == nil {
		if e := json.Unmarshal(raw, &s); e != nil {
			t.Errorf("report of a child: %v", e)
		}
		if s.Failed {
			return s, &bad{seed: s.Seed, why: s.Why}
		}
	}
	if err == nil {
		return s, nil
	}
	// It died. Which seed it was at it has left behind.
	raw, _ := os.ReadFile(j.at())
	seed, e := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
	if e != nil {
		t.Errorf("a child failed before its first run: %v\n%s", err, out)
		seed = j.First
	}
	if cause := context.Cause(ctx); cause != nil {
		return s, &bad{seed: seed, why: fmt.Sprintf("%v\n%s", cause, head(out, 40))}
	}
	return s, &bad{seed: seed, why: fmt.Sprintf("the process dies: %v\n%s", err, head(out, 40))}
}

// head is the first n lines.
func head(b []byte, n int) string {
	lines := bytes.SplitN(b, []byte("\n"), n+1)
	return string(bytes.Join(lines[:min(n, len(lines))], []byte("\n")))
}
