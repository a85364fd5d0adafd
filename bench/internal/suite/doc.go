// Package suite plans and runs the comparison: rounds over cells over contestants, each measurement in two fresh
// processes (server and load generator) on chosen CPUs.
//
// A contestant that cannot be built or started, dies, or hangs is reported and left out of the rest of its cell; the
// run goes on. Run is for one goroutine; it owns the processes it starts and ends each of them, also when its context
// is cancelled. Nothing here depends on how fast the machine is except the time-outs, which are hang guards.
package suite
