//go:build linux

package proactor

import (
	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
)

// Broadcast sends the bytes of l to every connection of conns, like Send to each, and releases l when the last has taken
// them. Connections of one worker are told together, so that their sends share one system call where the backend
// batches. It does not wait. refused is called for each connection that does not take the bytes, with its place in conns
// and why: ErrWriteQueueFull for one whose peer reads too slowly, ErrClosed, or the error of the socket. It may be nil
// and must not block. Any goroutine.
func Broadcast(l buffers.Lease, conns []*Conn, refused func(i int, err error)) {
	if len(conns) == 0 || l.Len() == 0 {
		l.Release()
		return
	}
	tell := map[*loop]*telling{}
	for i, share := range l.Share(len(conns)) {
		c, p := conns[i], share.Bytes()
		c.mu.Lock()
		start, err := c.enqueue(share, p)
		c.mu.Unlock()
		if err != nil && refused != nil {
			refused(i, err)
		}
		if start {
			t := tell[c.loop]
			if t == nil {
				t = &telling{}
				t.ctl.Init(t)
				tell[c.loop] = t
			}
			t.conns = append(t.conns, c)
		}
	}
	for loop, t := range tell {
		if s, ok := loop.w.Enter(); ok {
			t.OnCommand(nil, nil)
			s.Leave()
			continue
		}
		loop.w.Command(&t.ctl)
	}
}

// telling has connections of one loop start their sends.
type telling struct {
	ctl   executor.Command
	conns []*Conn
}

// OnCommand reconciles each.
func (t *telling) OnCommand(*executor.Worker, *executor.Command) {
	for _, c := range t.conns {
		c.mu.Lock()
		c.reconcile()
		c.mu.Unlock()
	}
}
