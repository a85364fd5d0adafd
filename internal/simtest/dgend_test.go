//go:build linux

package simtest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/simkernel"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// An end is a socket of the engine, and its model: what receives have taken from the kernel must be what the programs are
// given, in this order where the programs keep one, each once; and what the programs have written must be what the
// kernel has sent.
type end struct {
	x     *exchange
	id    int
	kind  endKind
	g     simkernel.Gram
	conn  *net.UDPConn         // of net
	pc    *proactor.PacketConn // of the engine
	peer  uint16               // that it is connected to
	joins bool
	loose bool // who has got which when is not known

	programs []*program
	done     bool        // the exchange has closed it
	serving  atomic.Bool // until net's Serve has returned

	mu              sync.Mutex // of two goroutines that one Close wakes, neither waits for the other
	shuts           bool       // somebody has begun to close it
	early           bool       // a program has, though more may come
	given           []bool     // of what was taken
	count           int        // of them
	writes          []*writing
	seen            map[syscall.Errno]int
	readAt, writeAt time.Time
	setAt           time.Time
	wasAt           []time.Time // deadlines that were replaced at setAt
}

type endKind uint8

const (
	endNet    endKind = iota // a UDPConn in the hands of programs
	endServer                // net.PacketServer
	endEngine                // a proactor.PacketConn in the hands of programs
)

// A writing is a datagram that a program has sent.
type writing struct {
	by      int // the program's number; post for one that Send has accepted
	to      uint16
	payload []byte
	maybe   bool // the backend broke meanwhile
	matched bool
}

const post = -1

func (e *end) note(format string, args ...any) {
	e.x.w.note("socket %d: "+format, append([]any{e.id}, args...)...)
}

func (e *end) wrong(format string, args ...any) {
	e.x.w.wrong("socket %d: "+format, append([]any{e.id}, args...)...)
}

// undisturbed reports whether the socket lives until the exchange closes it.
func (e *end) undisturbed() bool { return !e.early && !e.x.w.forced && !e.x.w.broke }

// got holds a datagram that a program was given, which had room for size bytes, against those that receives have taken. from
// is invalid and flags are -1 where the program is not told.
func (e *end) got(b []byte, size int, from netip.AddrPort, flags int) {
	taken := e.g.State().Taken
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.given) < len(taken) {
		e.given = append(e.given, false)
	}
	if from.IsValid() && from.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		e.wrong("a datagram comes from %v", from)
	}
	for i, d := range taken {
		if e.given[i] {
			continue
		}
		why := differences(d, b, size, from, flags)
		if why == "" {
			e.given[i] = true
			e.count++
			return
		}
		if !e.loose {
			e.wrong("datagram %d (%d bytes from %d, room for %d) is given as %d bytes from %v: %s",
				i, len(d.Payload), d.From, d.Room, len(b), from, why)
			return
		}
	}
	e.wrong("a program is given %d bytes from %v, flags %#x, and no receive has taken such a datagram", len(b), from, flags)
}

// differences tells in what b is not d.
func differences(d *simkernel.Datagram, b []byte, size int, from netip.AddrPort, flags int) string {
	n := min(d.Room, size)
	cut := d.Cut || size < d.Room
	switch {
	case from.IsValid() && from.Port() != d.From:
		return "the source is another"
	case len(b) != n:
		return "the length is another"
	case !bytes.Equal(b, d.Payload[:n]):
		return "the bytes are others"
	case flags >= 0 && (flags&unix.MSG_TRUNC != 0) != cut:
		return "MSG_TRUNC is wrong"
	}
	return ""
}

// wrote notes that n of these datagrams were sent, and what ended it.
func (e *end) wrote(by int, to []uint16, ps [][]byte, n int, err error) {
	if n < 0 || n > len(ps) || err == nil && n < len(ps) {
		e.wrong("a write of %d datagrams wrote %d: %v", len(ps), n, err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, p := range ps {
		port := e.peer
		if port == 0 {
			port = to[i]
		}
		w := &writing{by: by, to: port, payload: bytes.Clone(p), maybe: i >= n}
		if i < n || e.x.w.broke {
			e.writes = append(e.writes, w)
		}
	}
}

// posted notes that Send has accepted a datagram.
func (e *end) posted(to uint16, p []byte, err error) {
	switch {
	case err == nil:
		e.mu.Lock()
		e.writes = append(e.writes, &writing{by: post, to: to, payload: bytes.Clone(p)})
		e.mu.Unlock()
	case errors.Is(err, proactor.ErrWriteQueueFull):
		e.x.w.tally("write queue full")
	default:
		e.failed(posting, err, context.Background(), time.Now())
	}
}

// failed holds an error against what may be. It returns true when the socket is closed.
func (e *end) failed(what string, err error, ctx context.Context, began time.Time) (over bool) {
	w := e.x.w
	w.settleFirst()
	e.note("%s: %v", what, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	var errno syscall.Errno
	switch {
	case w.broke:
		return true
	case errors.Is(err, net.ErrClosed), errors.Is(err, proactor.ErrShutdown):
		if !e.shuts && !w.forced {
			e.wrong("%s says that the socket is closed, and nobody has closed it", what)
		}
		return true
	case errors.Is(err, context.Canceled):
		if ctx.Err() == nil {
			e.wrong("%s is cancelled, and nobody has asked for it", what)
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		why := onTime(what, e.deadline(what), e.setAt, began, time.Now())
		if why != "" && !e.wasOver() {
			e.wrong("%s", why)
		}
	case errors.As(err, &errno):
		if e.seen[errno]++; e.seen[errno] > e.g.Failed(errno) {
			e.wrong("%s fails without a reason: %v", what, err)
		}
	default:
		e.wrong("%s fails without a reason: %v", what, err)
	}
	return false
}

// deadline is that of what is done. mu is held.
func (e *end) deadline(what string) time.Time {
	if what == reading {
		return e.readAt
	}
	return e.writeAt
}

// wasOver reports whether a deadline was over that another program has replaced just now, before this one could look. mu is
// held.
func (e *end) wasOver() bool {
	if !e.loose || !e.setAt.Equal(time.Now()) {
		return false
	}
	return slices.ContainsFunc(e.wasAt, func(at time.Time) bool { return !at.IsZero() && !time.Now().Before(at) })
}

// reading and its like name what programs do.
const (
	reading = "a read"
	writes  = "a write"
	posting = "a send"
)

// beforeDeadline is what must hold of a call that has succeeded.
func (e *end) beforeDeadline(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.deadline(what)
	if now := time.Now(); !at.IsZero() && now.After(at) && now.After(e.setAt) {
		e.wrong("%s goes on for %v behind its deadline", what, now.Sub(at))
	}
}

// stuck tells who waits although he need not, when nothing can happen any more.
func (e *end) stuck() string {
	s := e.g.State()
	waits := e.serving.Load()
	for _, p := range e.programs {
		switch p.inside {
		case "write":
			return "a program waits in a write"
		case "read":
			if p.ctx != nil && p.ctx.Err() != nil {
				return "a program waits in a read whose context has ended"
			}
			waits = true
		case "":
			if !p.over {
				return "a program does nothing"
			}
		}
	}
	if waits && !e.shuts && (s.Waiting > 0 || len(s.Taken) > e.count) {
		return "a program waits for a datagram, and there is one"
	}
	return ""
}

// bounded holds what the engine keeps for the programs against its bound.
func (e *end) bounded() {
	if n := len(e.g.State().Taken) - e.count; n > e.x.w.unreadPackets && !e.joins && !e.shuts {
		e.wrong("the engine has received %d datagrams that no program has read, at most %d are allowed", n, e.x.w.unreadPackets)
	}
}

// shut closes the socket.
func (e *end) shut(early bool) {
	e.mu.Lock()
	e.shuts = true
	e.early = e.early || early
	e.mu.Unlock()
	if e.pc != nil {
		_ = e.pc.Close()
		return
	}
	_ = e.conn.Close()
}

// verdict is what must hold at the end.
func (e *end) verdict() {
	s := e.g.State()
	if e.undisturbed() && e.count != len(s.Taken) && e.reads() {
		e.wrong("%d datagrams were received, the programs were given %d", len(s.Taken), e.count)
	}
	for i, d := range s.Sent {
		if !e.matches(d) {
			e.wrong("datagram %d that was sent, %d bytes to %d, is none that a program wrote, or not in its order", i, len(d.Payload), d.To)
			return
		}
	}
	lost, failures := 0, 0
	for _, w := range e.writes {
		switch {
		case w.matched || w.maybe:
		case w.by == post:
			lost++
		case !e.x.w.broke:
			e.wrong("a write of %d bytes to %d succeeded, and nothing was sent", len(w.payload), w.to)
			return
		}
	}
	for _, errno := range everyFailure {
		failures += e.g.Failed(errno)
	}
	if e.undisturbed() && lost > failures {
		e.wrong("Send has accepted %d datagrams that were not sent, and %d failed", lost, failures)
	}
	if e.pc != nil && e.undisturbed() && e.pc.Dropped() != uint64(lost) {
		e.wrong("%d datagrams that Send had accepted were not sent, Dropped says %d", lost, e.pc.Dropped())
	}
}

// everyFailure are the errors that sends and receives may end with.
var everyFailure = []syscall.Errno{syscall.ECONNREFUSED, syscall.EPERM, syscall.ENETUNREACH, syscall.EHOSTUNREACH,
	syscall.ENOBUFS, syscall.ENOMEM, syscall.ENETDOWN, syscall.EMSGSIZE}

// reads reports whether the programs have read to the end.
func (e *end) reads() bool {
	for _, p := range e.programs {
		if p.drains {
			return true
		}
	}
	return e.kind == endServer
}

// matches finds the write that d, which was sent, is of. What one program has written is sent in its order.
func (e *end) matches(d *simkernel.Datagram) bool {
	behind := map[int]bool{} // programs that have one before
	for _, w := range e.writes {
		if w.matched || w.by != post && behind[w.by] && len(d.Payload) > 0 {
			continue
		}
		if w.to == d.To && bytes.Equal(w.payload, d.Payload) {
			w.matched = true
			return true
		}
		if !w.maybe && len(w.payload) > 0 {
			behind[w.by] = true
		}
	}
	return false
}

// sockaddr is the address of a port; nil for 0.
func sockaddr(port uint16) []byte {
	if port == 0 {
		return nil
	}
	b := make([]byte, dgram.NameBytes)
	return b[:dgram.PutName(b, addrOf(port), 0, false)]
}

func addrOf(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}
