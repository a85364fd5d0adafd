//go:build !race

package proactor

const raceEnabled = false
