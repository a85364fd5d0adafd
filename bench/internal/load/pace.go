package load

// pacer sends requests at a fixed rate over all connections in turn. Request k is due at start + k/rate; it is sent then,
// or as soon as a connection has room, and its latency counts from when it was due. So a server that stalls is charged
// for every request that it held up, not only for those that were in flight (coordinated omission).
type pacer struct {
	l     *loop
	start int64
	// next is the number of the next request, turn that of the connection to try first.
	next int64
	turn int
}

func newPacer(l *loop) *pacer { return &pacer{l: l, start: l.now()} }

func (p *pacer) due(k int64) int64 { return p.start + k*1e9/int64(p.l.cfg.Rate) }

// send sends what is due and returns how long the next request has time, in nanoseconds.
func (p *pacer) send() (int64, error) {
	now := p.l.now()
	for p.due(p.next) <= now {
		c := p.free()
		if c == nil {
			return int64(tick), nil // an answer makes room
		}
		if err := p.l.send(c, 1, p.due(p.next)); err != nil {
			return 0, err
		}
		p.next++
	}
	return max(min(p.due(p.next)-p.l.now(), int64(tick)), 0), nil
}

// free finds a connection with room.
func (p *pacer) free() *conn {
	for range p.l.conns {
		c := &p.l.conns[p.turn]
		if p.turn++; p.turn == len(p.l.conns) {
			p.turn = 0
		}
		if c.sent-c.received < uint64(p.l.cfg.Pipeline) {
			return c
		}
	}
	return nil
}

// behind is how many requests were due by now and not sent.
func (p *pacer) behind(now int64) uint64 {
	due := (now-p.start)*int64(p.l.cfg.Rate)/1e9 + 1
	return uint64(max(due-p.next, 0))
}
