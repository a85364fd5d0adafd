//go:build linux

package simtest

import (
	"errors"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// stream is what the programs use of a connection: proactor's and net's have it.
type stream interface {
	Read(p []byte) (int, error)
	ReadLease() (buffers.Lease, error)
	Write(p []byte) (int, error)
	WriteLease(l buffers.Lease) error
	Close() error
	CloseRead() error
	CloseWrite() error
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// run runs the program of t on a coroutine that has just begun; the caller closes c afterwards.
func (t *talk) run(c stream) {
	t.running++
	defer func() { t.running-- }()
	switch t.role {
	case roleEcho:
		t.echo(c)
	case roleLeases:
		t.echoLeases(c)
	default:
		t.chaos(c)
	}
	t.closing()
}

// closing is called before the server closes its end.
func (t *talk) closing() {
	t.over = true
	if !t.sEOF {
		t.early = true // what the peer sent may be unread, and resets it
	}
	t.note("program ends, got %d, wrote %d", t.sGot, t.sSent)
}

func (t *talk) echo(c stream) {
	b := make([]byte, 1+t.w.tape.Choose(700))
	for {
		began := time.Now()
		n, err := c.Read(b)
		t.got(b[:n])
		if err != nil {
			t.readError(err, began)
			return
		}
		t.w.strain()
		if t.echoShared(c, b[:n]) {
			return
		}
	}
}

// write writes all of b; it returns true when no more can be written.
func (t *talk) write(c stream, b []byte) bool {
	t.sending = len(b)
	began := time.Now()
	n, err := c.Write(b)
	return t.wrote(n, len(b), err, began)
}

func (t *talk) echoLeases(c stream) {
	for {
		began := time.Now()
		l, err := c.ReadLease()
		if err != nil {
			t.readError(err, began)
			return
		}
		t.got(l.Bytes())
		n := l.Len()
		t.sending = n
		began = time.Now()
		if err := c.WriteLease(l); err != nil {
			// How much went is not told.
			t.early = true
			t.wrote(0, n, err, began)
			t.sending = n
			return
		}
		t.wrote(n, n, nil, began)
	}
}

// handler is the callback face of an echo.
func (t *talk) handler() *proactor.Handler {
	return &proactor.Handler{
		OnOpen: func(*proactor.Conn) { t.running++ },
		OnData: func(c *proactor.Conn, l buffers.Lease) {
			t.got(l.Bytes())
			n := l.Len()
			t.sSent += n
			if err := c.Send(l); err != nil {
				t.sSent -= n
				t.refused(err)
				_ = c.Close()
				return
			}
			t.accepted(n)
		},
		OnClose: func(c *proactor.Conn, err error) {
			t.running--
			t.readError(err, time.Now())
			t.closing()
		},
	}
}

// refused: Send may refuse because the peer reads slowly, and whatever made the connection fail.
func (t *talk) refused(err error) {
	if errors.Is(err, proactor.ErrWriteQueueFull) {
		t.early = true
		t.w.tally("write queue full")
		return
	}
	t.sentinel = true
	if !t.disturbed() && !t.peerBroke && !t.peerFailed && !t.early {
		t.wrong("Send fails without a reason: %v", err)
	}
}

// chaos does anything, and reads to the end at last if it feels like it.
func (t *talk) chaos(c stream) {
	tape := t.w.tape
	helper := tape.rarely(3)
	if helper {
		t.help(c)
	}
	for n := tape.Choose(16); n > 0; n-- {
		if t.any(c, tape.Choose(t.w.deeds()), tape.Choose(1<<16)) {
			return
		}
	}
	if tape.rarely(4) {
		return // closes with whatever is unread
	}
	t.drain(c)
}

// drain reads to the end.
func (t *talk) drain(c stream) {
	b := make([]byte, 500)
	for {
		t.set(c, time.Time{}, true, true) // a helper may have set one
		began := time.Now()
		n, err := c.Read(b)
		t.got(b[:n])
		if t.readError(err, began) {
			return
		}
	}
}

const deeds = 14

// any does one thing to c; how decides the details. It returns true when nothing more can be done.
func (t *talk) any(c stream, deed, how int) bool {
	t.note("deed %d, %d", deed, how)
	t.w.strain()
	switch deed {
	case 0, 1:
		b := make([]byte, 1+how%600)
		began := time.Now()
		n, err := c.Read(b)
		t.got(b[:n])
		return t.readError(err, began)
	case 2, 3:
		return t.write(c, pattern(t.id, down, t.sSent, 1+how%3000))
	case 4:
		began := time.Now()
		l, err := c.ReadLease()
		if err != nil {
			return t.readError(err, began)
		}
		t.got(l.Bytes())
		t.pause(how) // others do without it meanwhile
		l.Release()
	case 5:
		t.set(c, t.w.soon(how), true, false)
	case 6:
		t.set(c, t.w.soon(how), false, true)
	case 7:
		t.set(c, time.Time{}, true, true)
	case 8:
		t.pause(how)
	case 9:
		if how%4 == 0 && !t.sends {
			_ = c.CloseWrite()
			t.drain(c)
			return true
		}
	case 10:
		if how%4 == 0 {
			t.early = true // the kernel may have bytes that nobody reads then
			_ = c.CloseRead()
			return true
		}
	case 11:
		_, err := c.Write(nil)
		return t.wrote(0, 0, err, time.Now())
	case 12, 13:
		return t.send(c, 1+how%900)
	default:
		return t.anyShared(c, deed, how)
	}
	return false
}

// send leaves n bytes to Send, which proactor's connections have. It half-closes no more then: that would overtake them.
func (t *talk) send(c stream, n int) bool {
	pc, ok := c.(*proactor.Conn)
	if !ok {
		return false
	}
	t.sends = true
	t.sSent += n
	l := buffers.Wrap(pattern(t.id, down, t.sSent-n, n))
	if t.w.shares {
		_, ls := t.give(l.Bytes(), 0)
		l = ls[0]
	}
	err := pc.Send(l)
	if err == nil {
		t.accepted(n)
		return false
	}
	t.sSent -= n
	if errors.Is(err, proactor.ErrWriteQueueFull) {
		t.w.tally("write queue full")
		return false
	}
	t.refused(err)
	return true
}

func (t *talk) set(c stream, at time.Time, read, write bool) {
	t.setAt = time.Now()
	if read {
		t.readAt = at
	}
	if write {
		t.writeAt = at
	}
	switch {
	case read && write:
		_ = c.SetDeadline(at)
	case read:
		_ = c.SetReadDeadline(at)
	default:
		_ = c.SetWriteDeadline(at)
	}
}

// soon is a time that is near, or over.
func (w *world) soon(how int) time.Time {
	return time.Now().Add(time.Duration(how%40-5) * time.Millisecond)
}

func (t *talk) pause(how int) {
	if executor.Current() == nil {
		return // a goroutine's steps are taken while the worker waits
	}
	if how%3 == 0 {
		executor.Yield()
		return
	}
	executor.Sleep(time.Duration(how%20) * time.Millisecond)
}

// help starts a second coroutine that does other things to the same connection.
func (t *talk) help(c stream) {
	tape := t.w.tape
	t.running++
	err := t.w.engine.Executor().Go(func() {
		defer func() { t.running-- }()
		for n := tape.between(1, 4); n > 0; n-- {
			t.pause(tape.Choose(1 << 16))
			switch tape.Choose(4) {
			case 0:
				b := make([]byte, 1+tape.Choose(300))
				began := time.Now()
				n, err := c.Read(b)
				t.got(b[:n])
				if t.readError(err, began) {
					return
				}
			case 1:
				t.shift(c, true)
			case 2:
				t.shift(c, false)
			case 3:
				if tape.rarely(4) {
					t.early = true
					_ = c.Close()
					return
				}
			}
		}
	})
	if err != nil {
		t.running--
	}
}

// shift moves a deadline that somebody may be waiting for. The model knows the latest only, so it is never moved
// forward: onTime would take the one before for early.
func (t *talk) shift(c stream, read bool) {
	at := time.Now().Add(-time.Millisecond)
	t.set(c, at, read, !read)
}
