//go:build linux

// Command guest is the first process (/init) of the virtual machines that package vm boots: it mounts what programs
// expect, runs the steps of a plan, writes the results to a disk and ends the machine.
//
// It runs as root in a machine of its own, where nothing outlives it; do not start it anywhere else (it refuses when it
// is not process 1). With the argument "deny" it is a step's process on its way to the step's program.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/vm/plan"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == "deny" {
		fmt.Fprintln(os.Stderr, "guest:", deny(os.Args[2:]))
		os.Exit(126)
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the first process of a virtual machine and of no use elsewhere")
		os.Exit(2)
	}
	say(plan.First)
	g := &guest{}
	g.note(prepare())
	var p plan.Plan
	if src, err := os.ReadFile(plan.File); err != nil {
		g.note(err)
	} else {
		g.note(json.Unmarshal(src, &p))
	}
	for _, m := range p.Modules {
		g.note(loadModule(m))
	}
	for i, s := range p.Steps {
		say("begin %d/%d %s", i+1, len(p.Steps), s.Name)
		r := run(s)
		g.results.Steps = append(g.results.Steps, r)
		say("end %s exit=%d seconds=%.1f skipped=%q error=%q", s.Name, r.Exit, r.Seconds, r.Skipped, r.Error)
	}
	if err := g.save(); err != nil {
		say("results are lost: %v", err)
	} else {
		say(plan.Last)
	}
	end()
}

// deny takes what denytest.Env names away from this process and then becomes the program.
func deny(command []string) error {
	if err := denytest.Apply(); err != nil {
		return err
	}
	// The program must not apply it once more, nor hand it to its children.
	if err := os.Unsetenv(denytest.Env); err != nil {
		return err
	}
	return syscall.Exec(command[0], command, os.Environ())
}

type guest struct{ results plan.Results }

func (g *guest) note(err error) {
	if err != nil {
		g.results.Notes = append(g.results.Notes, err.Error())
		say("note %v", err)
	}
}

// say tells the host something over the console.
func say(format string, args ...any) {
	fmt.Printf("\n"+plan.Marker+format+"\n", args...)
}

// end drains the console and restarts the machine, at which qemu ends: it was told to.
func end() {
	_ = unix.IoctlSetInt(1, unix.TCSBRK, 1) // tcdrain(3)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}
