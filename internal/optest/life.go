//go:build linux

package optest

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"golang.org/x/sys/unix"
)

var lifeChecks = []check{
	{name: "submit inside Complete", run: submitInside},
	{name: "descriptor number used again", run: reuse},
	{name: "descriptor number used again inside Complete", run: reuseInside},
	{name: "stale event ends no poll", run: staleEvent},
	{name: "duplicate outlives the descriptor", run: duplicate},
	{name: "Close with everything in flight", run: closeAll},
	{name: "Close with leases out", run: closeLeases},
	{name: "after Close", run: afterClose},
	{name: "Wake while closing", run: wakeClosing},
	{name: "two backends", run: twoBackends},
	{name: "no allocations", run: noAllocations},
}

// submitInside echoes from inside completions only.
func submitInside(r *rig) {
	fd, peer := r.pair()
	in, out := r.op(op.RecvInto, fd), r.op(op.Send, fd)
	in.Buf = make([]byte, 64)
	in.on = func(t told) {
		if t.result > 0 {
			out.Buf = in.Buf[:t.result]
			r.submit(out)
		}
	}
	out.on = func(t told) {
		r.Equal(len(out.Buf), int(t.result))
		r.submit(in)
	}
	r.submit(in)
	for i := range 100 {
		r.write(peer, pattern(i*64, 64))
		r.until("the echo", func() bool { return len(out.got) == i+1 })
		r.Equal(pattern(i*64, 64), r.read(peer, 64))
	}
	r.close(peer)
	r.Equal(told{}, in.end())
}

// reuse: events of a connection that was closed must not reach the next one under its number, and the next one must
// get its own.
func reuse(r *rig) {
	numbers := map[int]int{}
	for i := range 200 {
		fd, peer := r.pair()
		numbers[fd]++
		w := r.submit(r.op(op.Recv, fd))
		msg := fmt.Sprint("message ", i)
		r.write(peer, []byte(msg))
		if i%2 == 0 {
			r.until("message", func() bool { return len(w.data) == len(msg) })
			r.Equal(msg, string(w.data))
		}
		r.write(peer, []byte("stale"))
		r.b.Cancel(&w.Op)
		if i%3 == 0 {
			r.reset(peer)
		}
		w.end()
		r.close(fd)
		if i%3 != 0 {
			r.close(peer)
		}
	}
	r.Less(len(numbers), 20, "numbers were meant to be used again")
}

// reuseInside: the owner closes at the terminal completion and opens the next connection there and then, while the
// rest of the batch still speaks of the old ones.
func reuseInside(r *rig) {
	const conns = 10
	type conn struct{ fd, peer int }
	all := make([]conn, conns)
	var fresh []*watched
	for i := range all {
		fd, peer := r.pair()
		all[i] = conn{fd, peer}
		w := r.op(op.Recv, fd)
		w.on = func(t told) {
			if t.more || t.result > 0 {
				return
			}
			r.close(fd)
			peer2 := r.pairAt(fd)
			next := r.submit(r.op(op.Recv, fd))
			fresh = append(fresh, next)
			r.write(peer2, []byte("fresh"))
		}
		r.submit(w)
	}
	r.idle()
	for _, c := range all {
		r.write(c.peer, []byte("old"))
		r.close(c.peer)
	}
	r.until("the fresh connections' data", func() bool {
		n := 0
		for _, w := range fresh {
			n += len(w.data)
		}
		return n == conns*len("fresh")
	})
	for _, w := range fresh {
		r.Equal("fresh", string(w.data))
		r.stillFlying(w)
	}
}

// staleEvent: the connection's last event and the end of its last operation come in the same turn; the Poll on the next
// connection under its number must not take the event for its own.
func staleEvent(r *rig) {
	for i := range 20 {
		fd, peer := r.pair()
		w := r.op(op.Recv, fd)
		var next *watched
		var peer2 int
		w.on = func(t told) {
			if w.pending == 0 {
				r.close(fd)
				peer2 = r.pairAt(fd)
				next = r.poll(fd, unix.EPOLLIN)
			}
		}
		r.submit(w)
		r.idle()
		if i%2 == 0 {
			// A backend may ask the kernel only in every other turn; meet it in either.
			nop := r.submit(r.op(op.Nop, -1))
			_, err := r.b.Poll(0)
			r.NoError(err)
			nop.end()
		}
		r.write(peer, []byte("old"))
		r.b.Cancel(&w.Op)
		w.end()
		r.stillFlying(next)
		r.write(peer2, []byte("x"))
		r.Equal(told{result: unix.EPOLLIN}, next.end())
		for _, x := range []int{peer, fd, peer2} {
			r.close(x)
		}
	}
}

// duplicate: as long as a duplicate is open, the kernel goes on with the closed number's events.
func duplicate(r *rig) {
	for range 20 {
		fd, peer := r.pair()
		w := r.submit(r.op(op.Recv, fd))
		r.idle()
		dup, err := r.sys.Dup(fd)
		r.NoError(err)
		r.own(dup)
		w.stop()
		r.close(fd)
		peer2 := r.pairAt(fd)
		w2 := r.submit(r.op(op.Recv, fd))
		r.write(peer, []byte("for the duplicate"))
		r.idle()
		r.Empty(w2.data)
		r.write(peer2, []byte("mine"))
		r.until("data", func() bool { return len(w2.data) == 4 })
		r.Equal("for the duplicate", string(r.read(dup, 17)))
		w2.stop()
		for _, x := range []int{dup, peer, fd, peer2} {
			r.close(x)
		}
	}
}

// everything has one operation of each kind in flight.
func everything(r *rig) []*watched {
	l, sa := r.listen()
	acc, _ := r.acceptor(l)
	fd, peer := r.pair()
	fd2, _ := r.pair()
	fd3, _ := r.pair()
	into := r.op(op.RecvInto, fd2)
	into.Buf = make([]byte, 10)
	all := []*watched{
		r.submit(r.op(op.Nop, -1)), r.submit(acc), r.connect(r.socket(), sa), r.submit(r.op(op.Recv, fd)),
		r.submit(into), r.send(fd3, pattern(0, 20<<20)), r.poll(fd, unix.EPOLLRDHUP),
	}
	r.write(peer, []byte("x"))
	return all
}

func closeAll(r *rig) {
	for _, polls := range []int{0, 1, 5} {
		old := r.b
		r.b = r.make(r.t, buffers.GroupConfig{})
		all := everything(r)
		for range polls {
			_, err := r.b.Poll(0)
			r.NoError(err)
		}
		r.NoError(r.b.Close())
		r.Zero(r.b.InFlight())
		for _, w := range all {
			r.Zero(w.pending, "%v did not end", w.Kind)
			r.False(w.InFlight())
			if last := w.got[len(w.got)-1]; last.errno != 0 {
				r.Equal(syscall.ECANCELED, last.errno)
			}
		}
		r.b = old
	}
}

func closeLeases(r *rig) {
	old := r.b
	r.b = r.make(r.t, buffers.GroupConfig{})
	fd, peer := r.pair()
	w := r.op(op.Recv, fd)
	w.keep = true
	r.submit(w)
	r.write(peer, []byte("kept"))
	r.until("data", func() bool { return len(w.data) == 4 })
	r.ErrorIs(r.b.Close(), buffers.ErrInUse)
	r.Equal("kept", string(w.leases[0].Bytes()))
	w.release()
	r.b = old
}

func afterClose(r *rig) {
	old := r.b
	r.b = r.make(r.t, buffers.GroupConfig{})
	r.NoError(r.b.Close())
	w := r.op(op.Nop, -1)
	r.ErrorIs(r.b.Submit(&w.Op), op.ErrClosed)
	r.False(w.InFlight())
	_, err := r.b.Poll(0)
	r.Error(err)
	r.b.Wake()
	r.b.Cancel(&w.Op)
	r.NoError(r.b.Close())
	r.b.Stats()
	r.b = old
}

// wakeClosing: a Wake that comes late must not write to a descriptor that belongs to somebody else by now. The race
// detector and the peers' content would show it.
func wakeClosing(r *rig) {
	old := r.b
	for range 20 {
		r.b = r.make(r.t, buffers.GroupConfig{})
		b := r.b
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						b.Wake()
						runtime.Gosched()
					}
				}
			})
		}
		for range 20 {
			_, err := b.Poll(-1)
			r.NoError(err)
		}
		r.NoError(b.Close())
		fd, peer := r.pair()
		close(stop)
		wg.Wait()
		r.close(fd)
		r.Empty(r.readAll(peer))
		r.close(peer)
	}
	r.b = old
}

// twoBackends move a connection from one to the other, as an acceptor that distributes does.
func twoBackends(r *rig) {
	first := r.b
	second := r.make(r.t, buffers.GroupConfig{})
	fd, peer := r.pair()
	sent := 0
	for i := range 10 {
		r.b = []op.Backend{first, second}[i%2]
		w := r.submit(r.op(op.Recv, fd))
		r.write(peer, pattern(sent, 100))
		r.until("data", func() bool { return len(w.data) == 100 })
		r.Equal(pattern(sent, 100), w.data)
		r.Equal(told{errno: syscall.ECANCELED}, w.stop())
		sent += 100
	}
	r.NoError(second.Close())
	r.b = first
}
