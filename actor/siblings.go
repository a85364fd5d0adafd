package actor

// siblings are the children of one actor, in the order of their start. They are linked, so that the end of one costs the same
// however many there are. The parent's mu guards them.
type siblings struct {
	first, last *cell
	n           int
}

func (s *siblings) add(c *cell) {
	c.older = s.last
	if s.last == nil {
		s.first = c
	} else {
		s.last.younger = c
	}
	s.last = c
	s.n++
}

// remove takes c out, which is one of them.
func (s *siblings) remove(c *cell) {
	if c.older == nil {
		s.first = c.younger
	} else {
		c.older.younger = c.younger
	}
	if c.younger == nil {
		s.last = c.older
	} else {
		c.younger.older = c.older
	}
	c.older, c.younger = nil, nil
	s.n--
}

func (s *siblings) list() []*cell {
	all := make([]*cell, 0, s.n)
	for c := s.first; c != nil; c = c.younger {
		all = append(all, c)
	}
	return all
}
