package main

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test's binary stand in for the command: the suite executes it again as contestant and as load
// generator.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"contestant", "load"}, os.Args[1]) {
		os.Exit(execute(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}
