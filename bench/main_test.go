package main

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/bench/internal/contestant"
)

// TestMain lets the test's binary stand in for the command: the suite executes it again as server and load generator.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"server", "load"}, os.Args[1]) {
		os.Exit(execute(os.Args[1:]))
	}
	contestant.Quiet()
	goleak.VerifyTestMain(m)
}
