//go:build linux

package simtest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

var (
	seedsFlag       = flag.Int("sim.seeds", 500, "how many seeds TestSim runs")
	fileSeedsFlag   = flag.Int("sim.files", 250, "how many seeds TestSimFiles runs")
	gramSeedsFlag   = flag.Int("sim.datagrams", 250, "how many seeds TestSimDatagrams runs")
	workerSeedsFlag = flag.Int("sim.workers", 250, "how many seeds TestSimWorkers runs")
	shareSeedsFlag  = flag.Int("sim.zerocopy", 250, "how many seeds TestSimZeroCopy runs")
	firstFlag       = flag.Uint64("sim.first", 0, "the first of them")
	seedFlag        = flag.Int64("sim.seed", -1, "run this seed only, in this process, and print its trace")
	tapeFlag        = flag.String("sim.tape", "", "run the tape in this file only, in this process, and print its trace")
	shrinkFlag      = flag.Bool("sim.shrink", true, "make a tape that fails smaller")
	tableFlag       = flag.String("sim.table", "", "add what TestSim has run and injected to this file, as JSON")
)

// inBubble runs one world in a bubble. What it leaves behind, goroutines that wait for ever, makes the bubble panic.
func inBubble(t *testing.T, of kind, tape *tape, keep bool) (w *world) {
	defer func() {
		if p := recover(); p != nil {
			w.wrong("%v: %s", p, w.waiting())
		}
	}()
	synctest.Test(t, func(*testing.T) {
		w = &world{}
		w.simulate(of, tape, keep)
	})
	return w
}

// TestSim runs random programs, in processes of their own, as a broken engine may end its process or never come to rest.
// The first seed that fails is made smaller and shown.
func TestSim(t *testing.T) { simulate(t, sockets, *seedsFlag) }

// TestSimFiles is TestSim with programs that use files. There are fewer runs if not told otherwise.
func TestSimFiles(t *testing.T) { simulate(t, files, *fileSeedsFlag) }

// TestSimDatagrams is TestSim with programs that use datagram sockets.
func TestSimDatagrams(t *testing.T) { simulate(t, datagrams, *gramSeedsFlag) }

// TestSimWorkers is TestSim with two workers, which act by turns.
func TestSimWorkers(t *testing.T) { simulate(t, workers, *workerSeedsFlag) }

// TestSimZeroCopy is TestSim with sends without a copy.
func TestSimZeroCopy(t *testing.T) { simulate(t, zeroCopy, *shareSeedsFlag) }

func simulate(t *testing.T, of kind, seeds int) {
	switch {
	case *seedFlag >= 0:
		tape := seeded(uint64(*seedFlag))
		if path := os.Getenv(recordEnv); path != "" {
			var err error
			tape.file, err = os.Create(path)
			require.NoError(t, err)
		}
		show(t, of, tape)
		return
	case *tapeFlag != "":
		in, err := readTape(*tapeFlag)
		require.NoError(t, err)
		show(t, of, recorded(in))
		return
	case os.Getenv(shrinkEnv) != "":
		shrinkHere(t, of, os.Getenv(shrinkEnv))
		return
	case os.Getenv(jobEnv) != "":
		runJob(t, of)
		return
	}
	sum, bad := runSeeds(t, of, *firstFlag, seeds)
	t.Logf("%d runs, injected: %v", sum.Runs, sum.Injected)
	if bad != nil {
		if !*shrinkFlag {
			t.Fatalf("seed %d fails: %s", bad.seed, bad.why)
		}
		shrink(t, of, bad)
		t.Fatalf("seed %d fails: %s\nrepeat it: go test -run '%s' ./internal/simtest -sim.seed=%d\n"+
			"%d choices are enough: -sim.tape=%s\n%s", bad.seed, bad.why, of.test(), bad.seed, len(bad.tape), bad.path, bad.trace)
	}
	require.Equal(t, seeds, sum.Runs)
	if *tableFlag != "" {
		require.NoError(t, update(*tableFlag, func(r *results) {
			r.of(of).add(sum)
		}))
	}
}

// show runs one tape and prints what happens.
func show(t *testing.T, of kind, tp *tape) {
	w := inBubble(t, of, tp, true)
	fmt.Println(strings.Join(w.trace, "\n"))
	t.Logf("%d choices, %d polls, injected: %v", len(tp.log), w.polls, w.kernel.Injected())
	if w.failure != "" {
		t.Fatal(w.failure)
	}
}

var replays = flag.Uint64("sim.replays", 400, "runs of TestReplay")

// TestReplay: a run is a function of its tape, to the last choice.
func TestReplay(t *testing.T) {
	for i := range *replays {
		seed, of := i, sockets
		switch {
		case i >= 350:
			seed, of = i-350, zeroCopy
		case i >= 300:
			seed, of = i-300, workers
		case i >= 250:
			seed, of = i-250, datagrams
		case i >= 200:
			seed, of = i-200, files
		}
		first := inBubble(t, of, seeded(seed), true)
		if of == workers && first.operated {
			continue // the shutdown's goroutine wakes both workers
		}
		if of != sockets && first.actors > 0 {
			continue // a goroutine that a command wakes may get the worker to poll once more, or not
		}
		again := inBubble(t, of, recorded(first.tape.log), true)
		for i, line := range first.trace {
			if i >= len(again.trace) || again.trace[i] != line {
				t.Fatalf("seed %d is not repeated:\n%s\ninstead of\n%s", seed, strings.Join(again.trace[max(0, i-5):min(len(again.trace), i+5)], "\n"),
					strings.Join(first.trace[max(0, i-5):min(len(first.trace), i+5)], "\n"))
			}
		}
		require.True(t, slices.Equal(first.tape.log, again.tape.log), "seed %d is not repeated", seed)
		require.Equal(t, first.kernel.Injected(), again.kernel.Injected(), "seed %d", seed)
	}
}

// FuzzSim has the fuzzer write the tape: two bytes to a choice.
func FuzzSim(f *testing.F) {
	for seed := range uint64(4) {
		w := seeded(seed)
		for range 300 {
			w.Choose(1 << 16)
		}
		b := make([]byte, 0, 600)
		for _, v := range w.log {
			b = append(b, byte(v), byte(v>>8))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := make([]uint32, len(b)/2)
		for i := range in {
			in[i] = uint32(b[2*i]) | uint32(b[2*i+1])<<8
		}
		if w := inBubble(t, sockets, recorded(in), false); w.failure != "" {
			t.Error(w.failure)
		}
	})
}
