//go:build linux

package simtest

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Shrinking makes a tape that fails smaller: shorter, and with smaller numbers, which are duller. A child tries
// candidates; what it has reached it keeps in a file, and what it tries in another. When it dies, the candidate was one
// that ends the process, so it fails too, and another child goes on from there.

// shrinkFor bounds how long that takes.
const shrinkFor = 20 * time.Second

// shrinkEnv names the folder of a child that shrinks.
const shrinkEnv = "OURO_SIM_SHRINK"

// recordEnv names a file that a run writes each choice to as it makes it.
const recordEnv = "OURO_SIM_RECORD"

func readTape(path string) ([]uint32, error) {
	b, err := os.ReadFile(path)
	in := make([]uint32, len(b)/4)
	for i := range in {
		in[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return in, err
}

func writeTape(path string, in []uint32) error {
	b := make([]byte, 0, 4*len(in))
	for _, v := range in {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return os.WriteFile(path, b, 0o644)
}

// shrink finds a small tape that fails like b, and its trace.
func shrink(t *testing.T, of kind, b *bad) {
	dir, err := os.MkdirTemp("", "ouro-sim")
	require.NoError(t, err)
	b.path = filepath.Join(dir, "tape")
	cmd := exec.Command(os.Args[0], "-test.run="+of.test(), "-test.timeout=1m", "-sim.seed="+itoa(b.seed))
	cmd.Env = append(os.Environ(), recordEnv+"="+b.path)
	if out, err := cmd.CombinedOutput(); err == nil {
		b.why = "once, and not again: " + b.why
		return
	} else {
		b.trace = string(out)
	}
	for end := time.Now().Add(shrinkFor); time.Now().Before(end); {
		cmd := exec.Command(os.Args[0], "-test.run="+of.test(), fmt.Sprint("-test.timeout=", time.Until(end).Round(time.Second)+time.Second))
		cmd.Env = append(os.Environ(), shrinkEnv+"="+dir)
		if cmd.Run() == nil {
			break
		}
		trying, err := os.ReadFile(filepath.Join(dir, "trying"))
		require.NoError(t, err)
		if time.Now().Before(end) {
			require.NoError(t, os.WriteFile(b.path, trying, 0o644))
		}
	}
	b.tape, err = readTape(b.path)
	require.NoError(t, err)
	out, _ := exec.Command(os.Args[0], "-test.run="+of.test(), "-test.timeout=1m", "-sim.tape="+b.path).CombinedOutput()
	b.trace = head(out, 120)
}

// shrinkHere is the child's part.
func shrinkHere(t *testing.T, of kind, dir string) {
	best, trying := filepath.Join(dir, "tape"), filepath.Join(dir, "trying")
	in, err := readTape(best)
	require.NoError(t, err)
	end := time.Now().Add(shrinkFor)
	smaller(in, func(in []uint32) bool {
		if time.Now().After(end) {
			return false
		}
		require.NoError(t, writeTape(trying, in))
		if inBubble(t, of, recorded(in), false).failure == "" {
			return false
		}
		require.NoError(t, writeTape(best, in))
		return true
	})
	os.Exit(0) // what the runs have left behind does not matter
}

// smaller returns the smallest tape that it finds for which fails holds, as it does for in.
func smaller(in []uint32, fails func([]uint32) bool) []uint32 {
	for again := true; again; {
		again = false
		try := func(c []uint32) bool {
			if slices.Equal(c, in) || !fails(c) {
				return false
			}
			in, again = c, true
			return true
		}
		for n := len(in) / 2; n > 0; n /= 2 {
			for len(in) >= n && try(slices.Clone(in[:len(in)-n])) {
			}
		}
		for n := len(in) / 2; n > 0; n /= 2 {
			for at := 0; at+n <= len(in); {
				if !try(slices.Concat(in[:at], in[at+n:])) {
					at += n
				}
			}
			for at := 0; at+n <= len(in); at += n {
				c := slices.Clone(in)
				clear(c[at : at+n])
				try(c)
			}
		}
		for i := range in {
			for c := slices.Clone(in); c[i] > 0; c = slices.Clone(in) {
				c[i] /= 2
				if !try(c) {
					break
				}
			}
		}
		for len(in) > 0 && in[len(in)-1] == 0 {
			in = in[:len(in)-1] // the same run
		}
	}
	return in
}

// TestSmaller: a made-up failure that needs three numbers in this order shrinks to just them.
func TestSmaller(t *testing.T) {
	in := make([]uint32, 1000)
	for i := range in {
		in[i] = uint32(i * 7919 % 1000)
	}
	got := smaller(in, func(c []uint32) bool {
		want := []uint32{500, 20, 300}
		for _, v := range c {
			if len(want) > 0 && v >= want[0] {
				want = want[1:]
			}
		}
		return len(want) == 0
	})
	require.Len(t, got, 3)
	for i, least := range []uint32{500, 20, 300} {
		require.GreaterOrEqual(t, got[i], least)
		require.Less(t, got[i], 2*least)
	}
}
