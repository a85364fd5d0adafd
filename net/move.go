//go:build linux

package net

import (
	"sync"
	"time"
)

// mover is the life of what begins in runtime mode, in the runtime's poller, and may move to the engine, once and for good: a
// connection (adopt.go) or a UDP socket (udp_mode.go).
//
//	runtime ──depart──▶ moving ──arrive──▶ engine
//	   │  ▲                │ └──the engine is shutting down──▶ closed
//	   │  └─no descriptors─┘
//	   └──Close──▶ closed
//
// mu guards the fields, and is never held while waiting. Who departs owns the standard library's socket until he arrives: Close
// and options of others wait (settle), deadlines leave a note.
type mover struct {
	mu              sync.Mutex
	state           runtimeState
	moved           chan struct{} // set with moving
	readAt, writeAt time.Time     // the user's deadlines
}

type runtimeState uint8

const (
	stateRuntime runtimeState = iota
	stateMoving
	stateEngine
	stateClosed
)

// settle waits while it moves.
func (m *mover) settle() {
	m.mu.Lock()
	moved, moving := m.moved, m.state == stateMoving
	m.mu.Unlock()
	if moving {
		<-moved
	}
}

// depart begins the move, which arrive ends. It reports false where there is nothing to do: nil says that it is on the engine,
// errPinned that it has to stay for now. pinned is asked with mu held.
func (m *mover) depart(pinned func() bool) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.state == stateMoving {
		m.mu.Unlock()
		m.settle()
		m.mu.Lock()
	}
	switch {
	case m.state == stateEngine:
		return false, nil
	case m.state == stateClosed:
		return false, ErrClosed
	case pinned():
		return false, errPinned
	}
	m.state, m.moved = stateMoving, make(chan struct{})
	return true, nil
}

// arrive ends the move in the state next. The deadlines, which may have been noted meanwhile, are set where it is now: before
// publish, which shows the engine's part to others, and whoever changes them later sets them again with mu held.
func (m *mover) arrive(next runtimeState, std, engine deadliner, publish func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch next {
	case stateEngine:
		setDeadlines(engine, m.readAt, m.writeAt)
		publish()
	case stateRuntime:
		setDeadlines(std, m.readAt, m.writeAt)
	}
	m.state = next
	close(m.moved)
}

// note keeps a deadline. mu is held.
func (m *mover) note(t time.Time, s side) {
	if s&readSide != 0 {
		m.readAt = t
	}
	if s&writeSide != 0 {
		m.writeAt = t
	}
}

// setDeadlines sets both.
func setDeadlines(d deadliner, read, write time.Time) {
	_ = d.SetReadDeadline(read)
	_ = d.SetWriteDeadline(write)
}
