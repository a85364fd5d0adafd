//go:build linux

package simkernel

import (
	"slices"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// deliver tells the owners of some completions.
func (b *Backend) deliver() int {
	b.lock()
	n := len(b.cq)
	if n > 1 {
		n -= b.k.choose(n) // some may not be there yet
	}
	b.k.mu.Unlock()
	told := 0
	for ; n > 0 && b.broken == nil; n-- {
		b.lock()
		c := b.cq[0]
		b.cq = b.cq[1:]
		b.k.mu.Unlock()
		told += b.tell(c)
		if b.k.cfg.Told != nil {
			b.k.cfg.Told()
		}
	}
	b.lock()
	for len(b.overflow) > 0 && len(b.cq) < b.cfg.CQEntries {
		b.cq = append(b.cq, b.overflow[0])
		b.overflow = b.overflow[1:]
	}
	b.k.mu.Unlock()
	if told > 0 {
		b.polls.Add(1)
		b.completed.Add(uint64(told))
		b.inFlight.Store(int64(b.table.Len()))
	}
	return told
}

// tell tells the owner of one completion; it returns 0 for what is nobody's.
func (b *Backend) tell(e cqe) int {
	o := b.table.Get(e.ref)
	if o == nil {
		b.unclaimed(e)
		return 0
	}
	c := op.Completion{More: e.more}
	if e.res >= 0 {
		c.Result = e.res
	} else {
		c.Errno = syscall.Errno(-e.res)
	}
	if e.buf >= 0 {
		c.Lease = b.lease(uint16(e.buf), int(e.res))
	}
	if c.Errno == syscall.ENOBUFS && (o.Kind == op.Recv || o.Kind == op.RecvMsg) {
		b.outOfBuffers(&c)
	}
	if !c.More {
		b.table.Drop(o)
		if b.owes(o.Kind) {
			b.lock()
			b.giveBack(e.ref)
			b.k.mu.Unlock()
		}
	}
	o.Done.Complete(o, &c)
	return 1
}

func (b *Backend) lease(id uint16, n int) buffers.Lease {
	if n <= 0 {
		b.group.Put(id)
		return buffers.Lease{}
	}
	return b.group.Filled(id, n)
}

// outOfBuffers does what the backend imitated does.
func (b *Backend) outOfBuffers(c *op.Completion) {
	if b.group.Grow() && b.ring != nil {
		c.Errno = syscall.EINTR
		return
	}
	b.starved.Add(1)
	b.group.Starve()
}

// unclaimed disposes of a completion without an operation.
func (b *Backend) unclaimed(e cqe) {
	if e.buf >= 0 {
		b.group.Put(uint16(e.buf))
	}
	if e.ref.Kind() == op.Accept && e.res >= 0 {
		b.lock()
		b.k.uninstall(int(e.res))
		b.k.mu.Unlock()
	}
}

// haunt posts a completion under the identity of an operation that has ended: with a buffer of garbage, or a connection
// that nobody made. mu is held.
func (b *Backend) haunt() {
	if len(b.ghosts) == 0 || len(b.cq) >= b.cfg.CQEntries {
		return
	}
	i := b.k.choose(len(b.ghosts))
	ref := b.ghosts[i]
	b.ghosts = slices.Delete(b.ghosts, i, i+1)
	for _, c := range slices.Concat(b.cq, b.overflow) {
		if c.ref == ref {
			return // its end was not delivered yet
		}
	}
	e := cqe{ref: ref, buf: -1, more: b.k.choose(2) == 1}
	switch ref.Kind() {
	case op.Recv, op.RecvMsg:
		_, id, ok := b.buffer()
		if !ok {
			return
		}
		e.buf, e.res = id, 1
	case op.Accept:
		fd, errno := b.k.install(&file{socket: b.k.newSocket()})
		if errno != 0 {
			return
		}
		e.res = int32(fd)
	case op.Send, op.RecvInto, op.SendMsg, op.RecvMsgInto, op.SendZC, op.SendMsgZC:
		e.res = 1
	}
	b.cq = append(b.cq, e)
}
