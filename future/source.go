package future

import (
	"slices"

	"github.com/ouro-io/ouro/executor"
)

// A Future is an executor.Source, so that csp.Select can wait for it beside channels and timers: csp.On(f). Result then
// has what it settled with.
var _ executor.Source = (*Future[int])(nil)

// choices are the selections that wait for a future. They are told under its mutex, so that Unsubscribe ends it for sure.
type choices []choice

type choice struct {
	c *executor.Choice
	i int
}

// tell claims and wakes all of them. mu is held: waking takes no lock of this package.
func (cs *choices) tell() {
	if cs == nil {
		return
	}
	for _, x := range *cs {
		if x.c.Claim(x.i) {
			x.c.Wake()
		}
	}
}

// Ready is Settled, for executor.Source.
func (f *Future[T]) Ready() bool { return f.settled.Load() }

// Subscribe is for csp.Select; see executor.Source.
func (f *Future[T]) Subscribe(c *executor.Choice, i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled.Load() {
		if c.Claim(i) {
			c.Wake()
		}
		return
	}
	if f.choices == nil {
		f.choices = new(choices)
	}
	*f.choices = append(*f.choices, choice{c, i})
}

// Unsubscribe is for csp.Select; see executor.Source.
func (f *Future[T]) Unsubscribe(c *executor.Choice, i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.choices != nil {
		*f.choices = slices.DeleteFunc(*f.choices, func(x choice) bool { return x == choice{c, i} })
	}
}
