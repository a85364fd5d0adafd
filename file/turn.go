//go:build linux

package file

import (
	"sync"

	"github.com/ouro-io/ouro/executor"
)

// turn is a lock that may be held while waiting: who waits for it is a coroutine that is suspended, or a goroutine that
// parks. It is handed on in the order of arrival.
type turn struct {
	mu    sync.Mutex
	taken bool
	queue []*executor.Waiter
}

func (t *turn) lock() {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return
	}
	w := new(executor.Waiter)
	w.Prepare()
	t.queue = append(t.queue, w)
	t.mu.Unlock()
	w.Wait()
}

func (t *turn) unlock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.taken = false
		return
	}
	w := t.queue[0]
	t.queue = t.queue[1:]
	w.Wake()
}
