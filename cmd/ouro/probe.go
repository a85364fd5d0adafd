//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/ouro-io/ouro/proactor"
	"github.com/ouro-io/ouro/uring"
)

func probeCommand() *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "tell what this kernel and process can do, which backend is chosen and why",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print one JSON document"},
			&cli.BoolFlag{Name: "brief", Usage: "leave the table of features out"},
		},
		Action: func(_ context.Context, c *cli.Command) error {
			if err := noArguments(c); err != nil {
				return err
			}
			r := probe(!c.Bool("brief"))
			var err error
			if c.Bool("json") {
				e := json.NewEncoder(c.Root().Writer)
				e.SetIndent("", "  ")
				err = e.Encode(r)
			} else {
				err = writeText(c.Root().Writer, r)
			}
			if err == nil && r.Backend.Error != "" {
				err = errors.New("no engine starts with these settings")
			}
			return err
		},
	}
}

// probe finds out about this machine and this process. It makes and closes rings and an engine.
func probe(features bool) Report {
	r := Report{
		Schema:  schemaVersion,
		Kernel:  kernelInfo(),
		Go:      GoInfo{Version: runtime.Version(), CPUs: runtime.NumCPU(), MaxProcs: runtime.GOMAXPROCS(0)},
		Limits:  limits(),
		Sysctl:  sysctls("/proc/sys/kernel"),
		Process: processInfo(),
		Backend: chosenBackend(),
		IOUring: ringInfo(),
	}
	for _, f := range uring.ProbeFeatures() {
		r.Features = append(r.Features, Feature{
			Name: f.Name, State: f.State.String(), How: f.How, FirstKernel: f.FirstKernel, Without: f.Without, Detail: f.Detail,
		})
	}
	r.Advice = advise(r)
	if !features {
		r.Features = []Feature{}
	}
	return r
}

// ringInfo tells whether io_uring can be used at all.
func ringInfo() IOUring {
	err := uring.Available()
	if err == nil {
		return IOUring{Available: true}
	}
	i := IOUring{Error: err.Error()}
	if e := (*uring.Error)(nil); errors.As(err, &e) {
		i.Call, i.Errno, i.Cause, i.Remedy = e.Op, errnoName(e.Errno), e.Cause, e.Remedy
	}
	return i
}

// chosenBackend starts an engine as a program that configures nothing would, and asks what it runs on.
func chosenBackend() Backend {
	b := Backend{Requested: os.Getenv(proactor.BackendEnv)}
	if b.Requested == "" {
		b.Requested = proactor.Auto.String()
	}
	e, err := proactor.New(proactor.Config{Log: func(string) {}})
	if err != nil {
		b.Error = err.Error()
		return b
	}
	i := e.Info()
	b.Chosen, b.Reason, b.Workers = i.Backend.String(), i.Reason, i.Workers
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		b.Error = "the engine started and did not end: " + err.Error()
	}
	return b
}
