//go:build linux

package simtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/ouro-io/ouro/proactor"
)

// A talk is one connection and its model: what each end has sent and got. Everything is touched by the worker alone, or
// by a goroutine that acts while the worker waits for it.
type talk struct {
	w    *world
	id   int
	role role
	peer *peer
	conn *proactor.Conn // if the program uses one itself

	cSent, sGot int // peer to server: taken by the kernel, given to the program
	sSent, cGot int // server to peer: reported as written, read by the peer
	sending     int // the most that a write under way may have added to sSent
	sEOF        bool
	sends       bool // it has used Send

	readAt, writeAt time.Time // deadlines
	setAt           time.Time // when one of them was set last
	started         bool      // the server has begun with it

	peerBroke  bool // it broke off
	peerFailed bool // it got an error
	cutShort   bool // the server closed before the peer had sent all
	early      bool // the server closes without having read to the end, or so that bytes may be lost
	sentinel   bool // the program saw an error that only something unusual explains
	over       bool // the server is done with it
	running    int  // coroutines and goroutines of the server
}

func (t *talk) note(format string, args ...any) {
	t.w.note("talk %d: "+format, append([]any{t.id}, args...)...)
}

func (t *talk) wrong(format string, args ...any) {
	t.w.wrong("talk %d (%v): "+format, append([]any{t.id, t.role}, args...)...)
}

// echoes reports whether the server sends back what it gets.
func (t *talk) echoes() bool { return t.role <= roleCallbacks }

// disturbed reports whether the kernel or the operator has broken the connection, so that anything goes but wrong bytes.
func (t *talk) disturbed() bool {
	return t.w.broke || t.w.forced || t.peer.remote != nil && t.peer.remote.Disturbed()
}

// mayFail reports whether the peer may see an error.
func (t *talk) mayFail() bool {
	return t.disturbed() || t.early || t.sentinel || !t.started && !t.w.accepting
}

// got holds bytes that the program was given against the model.
func (t *talk) got(b []byte) {
	if d := differs(b, t.id, up, t.sGot); d != "" {
		t.wrong("the program got something else than the peer sent: %s", d)
	}
	if t.sGot += len(b); t.sGot > t.cSent {
		t.wrong("the program got %d bytes, the peer sent %d", t.sGot, t.cSent)
	}
	if t.sEOF && len(b) > 0 {
		t.wrong("the program got bytes behind the end of file")
	}
}

func (t *talk) peerGot(b []byte) {
	dir := down
	if t.echoes() {
		dir = up
	}
	if d := differs(b, t.id, dir, t.cGot); d != "" {
		t.wrong("the peer got something else than the program wrote: %s", d)
	}
	if t.cGot += len(b); t.cGot > t.sSent+t.sending && !t.disturbed() {
		t.wrong("the peer got %d bytes, the program wrote %d", t.cGot, t.sSent+t.sending)
	}
}

// bounded holds what the engine keeps for the talk against its bounds.
func (t *talk) bounded() {
	if t.peer.remote == nil || !t.started || t.over {
		return
	}
	if read, _ := t.peer.remote.Engine(); int(read)-t.sGot > t.w.unread {
		t.wrong("the engine has received %d bytes that the program has not read, at most %d are allowed", int(read)-t.sGot, t.w.unread)
	}
}

// accepted holds what Send has queued, the last n bytes included, against its bound.
func (t *talk) accepted(n int) {
	_, sent := t.peer.remote.Engine()
	if q := t.sSent + t.sending - int(sent); q > max(t.w.queued, n)+t.sending {
		t.wrong("Send has accepted %d bytes that are not sent, at most %d are allowed", q, t.w.queued)
	}
}

// peerEOF: a FIN stands behind all that was written.
func (t *talk) peerEOF() {
	t.note("peer is at the end, after %d", t.cGot)
	if !t.disturbed() && !t.early && !t.sentinel && t.cGot != t.sSent {
		t.wrong("the peer is at the end of file after %d bytes, the program wrote %d", t.cGot, t.sSent)
	}
}

// readError holds the error of a read against what may be. It returns true at the end of the stream.
func (t *talk) readError(err error, began time.Time) bool {
	now := time.Now()
	switch {
	case err == nil:
		t.beforeDeadline("read", t.readAt, now)
		return false
	case errors.Is(err, io.EOF):
		t.sEOF = true
		if !t.disturbed() && !t.peerBroke && !t.peerFailed && !t.early && !t.cutShort && t.sGot != t.cSent {
			t.wrong("end of file after %d bytes, the peer sent %d", t.sGot, t.cSent)
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.onTime("read", t.readAt, began, now)
		return false
	case errors.Is(err, net.ErrClosed):
		if !t.disturbed() && !t.early && !t.over && !t.sentinel {
			t.wrong("a read says that the connection is closed, and nobody has closed it")
		}
	default:
		t.sentinel = true
		if !t.disturbed() && !t.peerBroke && !t.peerFailed && !t.cutShort {
			t.wrong("a read fails without a reason: %v", err)
		}
	}
	return true
}

// onTime checks that a deadline ended an operation neither early nor late.
func (t *talk) onTime(what string, at, began, now time.Time) {
	if t.w.stage != nil && now.After(at) && !at.IsZero() {
		return // somebody may have held the worker up
	}
	if why := onTime("a "+what, at, t.setAt, began, now); why != "" {
		t.wrong("%s", why)
	}
}

// onTime tells what is wrong with the end, now, of an operation by the deadline at.
func onTime(what string, at, setAt, began, now time.Time) string {
	switch {
	case at.IsZero():
		return what + " hits a deadline that was never set"
	case now.Before(at):
		return fmt.Sprintf("%s hits its deadline %v too early", what, at.Sub(now))
	}
	latest := began
	for _, x := range []time.Time{at, setAt} {
		if x.After(latest) {
			latest = x
		}
	}
	if now.After(latest) {
		return fmt.Sprintf("%s hits its deadline %v too late", what, now.Sub(latest))
	}
	return ""
}

// beforeDeadline checks that an operation that succeeded was not one that a deadline should have ended.
func (t *talk) beforeDeadline(what string, at, now time.Time) {
	if !at.IsZero() && now.After(at) && now.After(t.setAt) && t.w.stage == nil {
		t.wrong("a %s goes on for %v behind its deadline", what, now.Sub(at))
	}
}

// wrote notes that n of want bytes were written. It returns true when no more can be.
func (t *talk) wrote(n, want int, err error, began time.Time) bool {
	t.sSent += n
	t.sending = 0
	switch {
	case n < 0 || n > want:
		t.wrong("a write of %d bytes wrote %d", want, n)
	case err == nil && n < want:
		t.wrong("a write of %d bytes wrote %d without an error", want, n)
	case err == nil:
		t.beforeDeadline("write", t.writeAt, time.Now())
		return false
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.onTime("write", t.writeAt, began, time.Now())
		return false
	case errors.Is(err, net.ErrClosed):
		if !t.disturbed() && !t.early {
			t.wrong("a write says that the connection is closed, and nobody has closed it")
		}
	default:
		t.sentinel = true
		if !t.disturbed() && !t.peerBroke && !t.peerFailed && !t.early && !t.cutShort {
			t.wrong("a write fails without a reason: %v", err)
		}
	}
	return true
}

// verdict is what must hold at the end.
func (t *talk) verdict() {
	calm := !t.disturbed() && !t.peerBroke && !t.early && !t.sentinel && !t.peerFailed && !t.cutShort
	switch {
	case t.peer.remote == nil || !calm:
		return
	case !t.started:
		if t.w.accepting {
			t.wrong("it was never accepted")
		}
		return
	}
	if t.sGot != t.cSent {
		t.wrong("the peer sent %d bytes, the program got %d", t.cSent, t.sGot)
	}
	if t.cGot != t.sSent {
		t.wrong("the program wrote %d bytes, the peer got %d", t.sSent, t.cGot)
	}
	if t.echoes() && t.cGot != t.peer.total {
		t.wrong("%d of %d bytes came back", t.cGot, t.peer.total)
	}
}

// role is what the server does with a connection.
type role uint8

const (
	roleEcho role = iota
	roleLeases
	roleCallbacks
	roleChaos     // a coroutine that does anything
	roleGoroutine // a goroutine that does anything
	roles
)

func (r role) String() string {
	return [...]string{"echo", "leases", "callbacks", "chaos", "goroutine"}[r]
}

var _ fmt.Stringer = role(0)
