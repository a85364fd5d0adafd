//go:build linux

package proactor

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/op"
)

// loop is one worker with its backend and with the connections and listeners that are bound to it. It is the
// worker's executor.Driver.
type loop struct {
	engine  *Engine
	w       *executor.Worker
	backend op.Backend
	batches bool
	turn    uint32 // of the worker; never 0

	starved    atomic.Uint64
	zeroCopied [2]atomic.Uint64 // sends without a copy, and those that the kernel copied all the same
	broken     atomic.Bool
	ended      atomic.Bool  // its backend is being closed
	load       atomic.Int64 // connections, those on their way here included
	mu         sync.Mutex   // guards conns, packets and local
	conns      *Conn
	packets    map[*PacketConn]struct{}
	local      *Addr // the last connection's
	calls      *Call // in flight; of the worker
}

// Poll is the backend's; the executor calls it.
func (l *loop) Poll(wait time.Duration) (int, error) {
	l.turn += 2 // odd from the start
	return l.backend.Poll(wait)
}

// Wake ends the wait of Poll. Any goroutine.
func (l *loop) Wake() { l.backend.Wake() }

// InFlight is the number of operations that may complete. Any goroutine.
func (l *loop) InFlight() int { return l.backend.InFlight() }

// Close closes the backend; the executor calls it last.
func (l *loop) Close() error {
	l.ended.Store(true)
	return l.backend.Close()
}

func (l *loop) add(c *Conn) {
	l.load.Add(1)
	l.mu.Lock()
	if c.next = l.conns; c.next != nil {
		c.next.prev = c
	}
	l.conns = c
	l.mu.Unlock()
}

func (l *loop) remove(c *Conn) {
	l.mu.Lock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.conns = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	l.mu.Unlock()
	l.load.Add(-1)
	l.engine.connEnded()
}

func (l *loop) addPacket(c *PacketConn) {
	l.load.Add(1)
	l.mu.Lock()
	if l.packets == nil {
		l.packets = map[*PacketConn]struct{}{}
	}
	l.packets[c] = struct{}{}
	l.mu.Unlock()
}

func (l *loop) removePacket(c *PacketConn) {
	l.mu.Lock()
	delete(l.packets, c)
	l.mu.Unlock()
	l.load.Add(-1)
	l.engine.connEnded()
}

// allPackets returns the datagram sockets that are open now.
func (l *loop) allPackets() []*PacketConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Keys(l.packets), func(a, b *PacketConn) int { return int(a.fd - b.fd) }) // so that a run can be repeated
}

// endpoints asks for the addresses of fd. Most connections of a server have one local address, and share its record.
func (l *loop) endpoints(fd int) (local *Addr, peer Addr) {
	// The peer's as well, now: it is gone once the peer has reset the connection.
	own, peer := addrOf(l.engine.system.Name(fd, false)), addrOf(l.engine.system.Name(fd, true))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.local == nil || *l.local != own {
		l.local = new(Addr) // not &own, which every call would allocate
		*l.local = own
	}
	return l.local, peer
}

// all returns the connections that are open now.
func (l *loop) all() []*Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	var cs []*Conn
	for c := l.conns; c != nil; c = c.next {
		cs = append(cs, c)
	}
	return cs
}

// forget tells a backend that keeps records by descriptor that this one is about to be closed. It reports false when the
// caller is not on the worker, which owns those records: then it is to be done there.
func (l *loop) forget(fd int) bool {
	f, ok := l.backend.(op.Forgetter)
	if !ok {
		return true
	}
	s, on := l.w.Enter()
	if on {
		f.Forget(fd)
		s.Leave()
	}
	return on
}
