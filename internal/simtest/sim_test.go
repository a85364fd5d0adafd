package simtest

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

var (
	seedsFlag = flag.Int("sim.seeds", 300, "how many seeds TestSim runs")
	seedFlag  = flag.Int64("sim.seed", -1, "run this seed only, and print its trace")
)

// inBubble runs one world in a bubble. What it leaves behind, goroutines that wait for ever, makes the bubble panic.
func inBubble(t *testing.T, tape *tape, keep bool) (w *world) {
	defer func() {
		if p := recover(); p != nil {
			w.wrong("%v: %s", p, w.waiting())
		}
	}()
	synctest.Test(t, func(*testing.T) {
		w = &world{}
		w.simulate(tape, keep)
	})
	return w
}

func TestSim(t *testing.T) {
	if *seedFlag >= 0 {
		w := inBubble(t, seeded(uint64(*seedFlag)), true)
		fmt.Println(strings.Join(w.trace, "\n"))
		fmt.Println(w.kernel.Injected(), w.polls, len(w.tape.log))
		if w.failure != "" {
			t.Fatal(w.failure)
		}
		return
	}
	for seed := range *seedsFlag {
		w := inBubble(t, seeded(uint64(seed)), false)
		if w.failure != "" {
			t.Errorf("seed %d: %s", seed, w.failure)
		}
	}
}
