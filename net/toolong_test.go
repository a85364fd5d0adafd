//go:build linux

package net

import (
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ouro-io/ouro/proactor"
)

// A message that is too long is the error of its own Write, and not of another at the same time.
func TestTooLongAmongOthers(t *testing.T) {
	onEachBackend(t, func(t *testing.T, e *proactor.Engine) {
		c, s := pipeOn(t, forced(e, modeEngine), "unixpacket", false)
		var reader, all sync.WaitGroup
		reader.Go(func() {
			for b := make([]byte, 8); ; {
				if _, err := s.Read(b); err != nil {
					return
				}
			}
		})
		long := make([]byte, 64<<20)
		for range 3 {
			all.Go(func() {
				for range 10_000 {
					_, err := c.Write(long)
					assert.ErrorIs(t, err, syscall.EMSGSIZE)
				}
			})
			all.Go(func() {
				for range 10_000 {
					_, err := c.Write([]byte("short"))
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
		assert.NoError(t, c.Close())
		reader.Wait()
		assert.NoError(t, s.Close())
	})
}
