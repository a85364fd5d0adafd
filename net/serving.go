package net

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// serving is one Serve under way: which connections are open, and whether another may begin.
//
// States of a connection: waiting (accepted, and the limits say no) → open (tracked, its handler runs) → gone. mu guards
// the fields below it. Where nothing is bounded and nothing waits for handlers (plain), connections are not tracked, and
// serving costs them nothing.
type serving struct {
	cfg     ServeConfig
	handler func(Conn)
	plain   bool

	mu       sync.Mutex
	open     *served // a list
	n        int     // open, and about to be
	tokens   float64 // of AcceptRate
	at       time.Time
	waiting  []Conn
	start    func(Conn) // begins one of waiting, outside mu; set by who accepts into waiting
	hold     func(bool) // stops accepting, or lets it go on; likewise
	held     bool
	timer    *time.Timer   // goes on when there is a token
	changed  chan struct{} // made by who waits, closed at the next change of n
	stopping bool

	shutdown func() // ends accept, as the engine shuts down; set by it
}

// served is a connection that is open.
type served struct {
	conn       Conn
	prev, next *served
	first      *time.Timer // FirstBytesTimeout
}

func newServing(c ServeConfig, handler func(Conn)) *serving {
	if c.AcceptBurst == 0 {
		c.AcceptBurst = int(min(math.Ceil(c.AcceptRate), math.MaxInt32))
	}
	if c.FirstBytes == 0 {
		c.FirstBytes = 1
	}
	return &serving{
		cfg: c, handler: handler, tokens: float64(c.AcceptBurst), at: time.Now(),
		plain: c.Drain == 0 && c.MaxConns == 0 && c.AcceptRate == 0 && c.FirstBytesTimeout == 0,
	}
}

// admit takes the right to begin one more connection. Otherwise it says how long to wait for a token, 0 when for the
// end of another connection. mu is held.
func (s *serving) admit() (bool, time.Duration) {
	if s.cfg.MaxConns > 0 && s.n >= s.cfg.MaxConns {
		return false, 0
	}
	if rate := s.cfg.AcceptRate; rate > 0 {
		now := time.Now()
		s.tokens = min(s.tokens+now.Sub(s.at).Seconds()*rate, float64(s.cfg.AcceptBurst))
		s.at = now
		if s.tokens < 1 {
			wait := time.Duration(math.Ceil((1 - s.tokens) / rate * float64(time.Second)))
			return false, max(wait, time.Millisecond)
		}
		s.tokens--
	}
	s.n++
	return true, 0
}

// room waits until another connection may begin, and takes the right to it.
func (s *serving) room(ctx context.Context) error {
	for !s.plain {
		s.mu.Lock()
		ok, wait := s.admit()
		if ok {
			s.mu.Unlock()
			return nil
		}
		changed := s.awaitChange()
		s.mu.Unlock()
		var token <-chan time.Time
		if wait > 0 {
			token = time.After(wait)
		}
		select {
		case <-changed:
		case <-token:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// awaitChange returns what is closed at the next change of n. mu is held.
func (s *serving) awaitChange() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// unused gives back what room took.
func (s *serving) unused() {
	if s.plain {
		return
	}
	s.mu.Lock()
	s.gone()
	s.mu.Unlock()
}

// gone counts the end of a connection. mu is held.
func (s *serving) gone() {
	s.n--
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// offer is for who cannot wait: conn begins now, or when the limits allow it; until then nothing more is accepted.
func (s *serving) offer(conn Conn) {
	if s.plain {
		s.start(conn)
		return
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		_ = conn.Close()
		return
	}
	s.waiting = append(s.waiting, conn)
	s.mu.Unlock()
	s.proceed()
}

// proceed begins those of waiting that may, and holds accepting up while others have to wait.
func (s *serving) proceed() {
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 || s.stopping {
			s.release()
			s.mu.Unlock()
			return
		}
		ok, wait := s.admit()
		if !ok {
			s.keepWaiting(wait)
			s.mu.Unlock()
			return
		}
		conn := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		s.mu.Unlock()
		s.start(conn)
	}
}

// keepWaiting holds accepting up, and sees to it that proceed is called again after wait. mu is held.
func (s *serving) keepWaiting(wait time.Duration) {
	if !s.held {
		s.held = true
		s.hold(true)
	}
	switch {
	case wait == 0:
	case s.timer == nil:
		s.timer = time.AfterFunc(wait, s.proceed)
	default:
		s.timer.Reset(wait)
	}
}

// release lets accepting go on. mu is held.
func (s *serving) release() {
	if s.held && !s.stopping {
		s.held = false
		s.hold(false)
	}
}

// track notes that conn is open. It returns nil where nothing is tracked.
func (s *serving) track(conn Conn) *served {
	if s.plain {
		return nil
	}
	v := &served{conn: conn}
	s.mu.Lock()
	if v.next = s.open; v.next != nil {
		v.next.prev = v
	}
	s.open = v
	s.mu.Unlock()
	return v
}

// done notes that v's handler has ended, and begins another connection that waits.
func (s *serving) done(v *served) {
	if v == nil {
		return
	}
	if v.first != nil {
		v.first.Stop()
	}
	s.mu.Lock()
	if v.prev != nil {
		v.prev.next = v.next
	} else {
		s.open = v.next
	}
	if v.next != nil {
		v.next.prev = v.prev
	}
	s.gone()
	next := s.held
	s.mu.Unlock()
	if next {
		s.proceed()
	}
}

// afterCut is how long a Serve that has closed connections waits for their handlers to notice.
const afterCut = 5 * time.Second

// drain ends a Serve whose accepting ended with err: those that wait are closed, and the others given time to end.
func (s *serving) drain(err error) error {
	if s.plain {
		return err
	}
	s.mu.Lock()
	s.stopping = true
	waiting := s.waiting
	s.waiting = nil
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	for _, c := range waiting {
		_ = c.Close()
	}
	if s.cfg.Drain == 0 {
		return err
	}
	if s.cfg.OnDrain != nil {
		for _, c := range s.conns() {
			s.cfg.OnDrain(c)
		}
	}
	if s.idle(s.cfg.Drain) {
		return err
	}
	cut := s.conns()
	for _, c := range cut {
		_ = c.Close()
	}
	s.idle(afterCut)
	return fmt.Errorf("%w (%d connections were open after %v and were closed)", err, len(cut), s.cfg.Drain)
}

// conns is the connections that are open.
func (s *serving) conns() (cs []Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := s.open; v != nil; v = v.next {
		cs = append(cs, v.conn)
	}
	return cs
}

// idle waits until no handler runs, for at most d, or without limit when d < 0. It reports whether none does.
func (s *serving) idle(d time.Duration) bool {
	var late <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		late = t.C
	}
	for {
		s.mu.Lock()
		if s.n == 0 {
			s.mu.Unlock()
			return true
		}
		changed := s.awaitChange()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}
