//go:build !race

package worldtest

// Race tells that the race detector is on.
const Race = false
