package simtest

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
)

// A tape is where a run takes its decisions from: first from what was recorded, then from dice if there are any, else
// it is dull.
type tape struct {
	in   []uint32
	dice *rand.Rand
	log  []uint32    // what was chosen
	file *os.File    // which is also written to here
	held atomic.Bool // it chooses 0 and notes nothing
}

// endless is the number of choices after which a run only does what is dull, so that it ends.
const endless = 200_000

func seeded(seed uint64) *tape { return &tape{dice: rand.New(rand.NewPCG(seed, 0x6f75726f))} }

func recorded(in []uint32) *tape { return &tape{in: in} }

// Choose implements simkernel.Chooser.
func (t *tape) Choose(n int) int {
	v := 0
	if t.held.Load() {
		return v
	}
	switch i := len(t.log); {
	case i < len(t.in):
		v = int(t.in[i] % uint32(n))
	case t.dice != nil && i < endless:
		v = t.dice.IntN(n)
	}
	t.log = append(t.log, uint32(v))
	if t.file != nil {
		_, _ = t.file.Write(binary.LittleEndian.AppendUint32(nil, uint32(v)))
	}
	return v
}

// between chooses from low to high, low being the dullest.
func (t *tape) between(low, high int) int { return low + t.Choose(high-low+1) }

// rarely is true once in n times.
func (t *tape) rarely(n int) bool { return t.Choose(n) == n-1 }

func itoa(v uint64) string { return strconv.FormatUint(v, 10) }
