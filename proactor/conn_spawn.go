//go:build linux

package proactor

import "github.com/ouro-io/ouro/executor"

// Start runs f as a coroutine on the connection's worker, and calls exit with how it ended: nil, an
// *executor.PanicError, or executor.ErrGoexit. With goroutine it is an ordinary goroutine, for code that locks its
// thread. The connection stays open when f ends. Errors as executor.Worker.Start.
func (c *Conn) Start(f func(), exit func(error), goroutine bool) error {
	// It will read or write, and so need both.
	both := new(struct {
		executor.Coroutine
		waits
	})
	c.mu.Lock()
	if c.wait == nil {
		c.setWaits(&both.waits)
	}
	c.mu.Unlock()
	return c.loop.w.Start(&both.Coroutine, executor.Spawn{Run: f, Exit: exit, Goroutine: goroutine})
}
