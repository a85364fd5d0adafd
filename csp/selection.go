package csp

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/executor"
)

// selection is what a Select needs when it has to wait. select.go tells how it goes.
type selection struct {
	choice     executor.Choice
	nodes      []node // per case
	enlisted   int    // of the sequence: where nodes may be queued
	err        error  // of the case that the Select took itself
	subscribed bool
	held       []*core // locked, in order
}

var selections = sync.Pool{New: func() any { return &selection{nodes: make([]node, fewCases)} }}

// enlist is steps 2 to 4. The choice may be waited for then. others tells that not all cases are channels.
func (s *selection) enlist(cases []Case, t *sequence, others bool) {
	s.begin(cases)
	for k := range cases {
		if !s.step(cases, t, k, others) {
			return
		}
	}
	if others {
		s.subscribe(cases)
	}
}

func (s *selection) begin(cases []Case) {
	s.choice.Prepare()
	if len(cases) > len(s.nodes) {
		s.nodes = make([]node, len(cases))
	}
}

// step enlists at the channel of the k-th case. It reports false when that has decided the Select, or the whole of it is done.
func (s *selection) step(cases []Case, t *sequence, k int, others bool) bool {
	i := t.at(k, len(cases))
	c := &cases[i]
	if c.ch == nil {
		s.enlisted = k + 1
		return true
	}
	found, err := c.core.enlist(c, &s.nodes[i], &s.choice, i)
	switch found {
	case foundNothing:
		s.enlisted = k + 1
		return true
	case foundIt:
		s.err = err
		s.choice.Wake()
	case foundSelect:
		if s.choice.Claim(noCase) {
			s.choice.Wake()
			s.choice.Wait()
			s.withdraw(cases, t, noCase)
			s.enlistLocked(cases, t, others)
		}
	}
	return false
}

// enlistLocked is step 3.
func (s *selection) enlistLocked(cases []Case, t *sequence, others bool) {
	s.choice.Prepare()
	s.lockAll(cases)
	for k := range cases {
		i := t.at(k, len(cases))
		c := &cases[i]
		if c.ch == nil {
			continue
		}
		if done, w, err := c.ch.try(c.send, c.v); done {
			s.unlockAll()
			s.err = err
			s.choice.Claim(i) // nobody else knows of it
			s.choice.Wake()
			w.wake()
			return
		}
	}
	for i := range cases {
		if c := &cases[i]; c.ch != nil {
			c.core.queue(c, &s.nodes[i], &s.choice, i)
		}
	}
	s.enlisted = len(cases)
	s.unlockAll()
	if others {
		s.subscribe(cases)
	}
}

// lockAll locks each channel of cases once, in order.
func (s *selection) lockAll(cases []Case) {
	for i := range cases {
		c := cases[i].core
		if c == nil {
			continue
		}
		at := len(s.held)
		for at > 0 && s.held[at-1].order() > c.order() {
			at--
		}
		if at > 0 && s.held[at-1] == c {
			continue
		}
		s.held = slices.Insert(s.held, at, c)
	}
	for _, c := range s.held {
		c.mu.Lock()
	}
}

func (s *selection) unlockAll() {
	for _, c := range s.held {
		c.mu.Unlock()
	}
	clear(s.held)
	s.held = s.held[:0]
}

// orders numbers the channels that take part in selects.
var orders atomic.Uint64

func (s *selection) subscribe(cases []Case) {
	for i := range cases {
		k := &cases[i]
		if k.timed && k.src == nil { // not when it waits again: the time runs from the first wait
			k.src = executor.After(k.after)
		}
		if k.src != nil && !k.never {
			k.src.Subscribe(&s.choice, i)
			s.subscribed = true
		}
	}
}

// finish is step 6, after the wait has ended with the index won or an error. It returns the case and what became of it, -1
// when there is none, and gives s back.
func (s *selection) finish(cases []Case, t *sequence, won int, err error) (int, error) {
	if err != nil {
		won = noCase
	} else if err = s.err; err != nil {
		s.err = nil
	}
	if won&closedCase != 0 {
		won, err = won&^closedCase, ErrClosed
	}
	s.withdraw(cases, t, won)
	selections.Put(s)
	if won == noCase {
		won = -1
	}
	return won, err
}

// withdraw takes back what the cases but won have left behind. The node of won is in no queue any more, and nobody holds it.
func (s *selection) withdraw(cases []Case, t *sequence, won int) {
	for k := range s.enlisted {
		i := t.at(k, len(cases))
		if c := &cases[i]; i != won && c.ch != nil {
			c.core.unqueue(c.send, &s.nodes[i])
		}
	}
	s.enlisted = 0
	if !s.subscribed {
		return
	}
	s.subscribed = false
	for i := range cases {
		if k := &cases[i]; k.src != nil && !k.never {
			k.src.Unsubscribe(&s.choice, i)
		}
	}
}

// maxShuffled is the number of cases up to which a Select tries them in a truly random order. Beyond it begins at a
// random one and goes round.
const maxShuffled = 16

// sequence is the order in which a Select tries its cases. The zero value is the order given.
type sequence struct {
	shuffled bool
	start    int
	order    [maxShuffled]uint8
}

// shuffle makes it a random order of n cases.
func (t *sequence) shuffle(n int) {
	switch {
	case n < 2:
		return
	case n > maxShuffled:
		t.start = rand.IntN(n)
		return
	}
	t.shuffled = true
	if n <= fewCases {
		all := orders4[n]
		few := &all[uint64(rand.Uint32())*uint64(len(all))>>32]
		t.order[0], t.order[1], t.order[2], t.order[3] = few[0], few[1], few[2], few[3]
		return
	}
	var r uint64
	for i := range n {
		if i%4 == 1 { // four draws of 16 bits; the first case needs none
			r = rand.Uint64()
		}
		j := uint8((r & 0xffff) * uint64(i+1) >> 16) // even but for one in 4096
		r >>= 16
		t.order[i] = t.order[j]
		t.order[j] = uint8(i)
	}
}

// fewCases is the number of cases up to which all orders are known in advance: to look one up takes half of the time.
const fewCases = 4

// orders4 are all orders of so many cases.
var orders4 = func() (all [fewCases + 1][][fewCases]uint8) {
	all[1] = [][fewCases]uint8{{}}
	for n := 2; n <= fewCases; n++ {
		for _, o := range all[n-1] {
			for at := range n { // the new one goes there
				x := o
				copy(x[at+1:], o[at:])
				x[at] = uint8(n - 1)
				all[n] = append(all[n], x)
			}
		}
	}
	return all
}()

// at is the case that is the k-th of n.
func (t *sequence) at(k, n int) int {
	if t.shuffled {
		return int(t.order[k])
	}
	if k += t.start; k >= n {
		k -= n
	}
	return k
}
