package op

import (
	"math/rand/v2"
	"time"
)

// Parts are what an engine stands on, for a simulation to replace. A nil field means the real one.
type Parts struct {
	// Clock is the engine's time, as executor.Clock.
	Clock interface {
		Now() int64
		Sleep(d time.Duration)
	}
	// Rand seeds the workers' random choices.
	Rand rand.Source
	// System makes the system calls that need no backend.
	System System
	// Backend makes the backend of a worker.
	Backend func(worker int) (Backend, error)
}
