package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/proc"
)

// ServerArgs are the arguments that make Self serve as contestant name.
func ServerArgs(name string, sink bool) []string {
	return []string{"server", "--kind", name, "--sink=" + strconv.FormatBool(sink)}
}

// LoadArgs are the arguments that make Self measure as cfg says.
func LoadArgs(cfg load.Config) []string {
	return []string{"load", "--addr", cfg.Addr, "--pid", strconv.Itoa(cfg.ServerPID),
		"--scenario", string(cfg.Scenario), "--conns", strconv.Itoa(cfg.Conns), "--size", strconv.Itoa(cfg.Size),
		"--pipeline", strconv.Itoa(cfg.Pipeline), "--warmup", cfg.Warmup.String(), "--window", cfg.Window.String()}
}

// runner is the state of one Run.
type runner struct {
	*Plan
	cpus []int
	// programs are those that could be built, unavailable says why others could not.
	programs    map[string]string
	unavailable map[string]error
	// failed holds who is left out from now on.
	failed  map[slot]bool
	samples []Sample
}

// slot is a contestant in a cell.
type slot struct {
	cell       int
	contestant string
}

// Run carries p out. The samples are in the order in which they were taken; one with an Error stands for a contestant
// that is left out of its cell from then on. The error is for what stops the whole run.
func Run(ctx context.Context, p Plan) ([]Sample, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	cpus, err := proc.CPUs()
	if err != nil {
		return nil, err
	}
	for _, c := range p.Cells {
		if c.Mode == Sep && len(cpus) < 2 {
			return nil, errors.New("mode sep needs two CPUs and this process may use one; leave sep out of --mode")
		}
	}
	p.setDefaults()
	r := &runner{Plan: &p, cpus: cpus, programs: map[string]string{}, failed: map[slot]bool{}}
	r.build()
	total, done := p.Rounds*p.Measurements(), 0
	for round := range p.Rounds {
		for i, cell := range p.Cells {
			for _, c := range p.Runs(cell) {
				r.progress(done, total, fmt.Sprintf("round %d: %s %s c%d %s", round+1, cell.Scenario, cell.Mode, cell.Conns, c.Name))
				if err := r.sample(ctx, c, i, round); err != nil {
					return r.samples, err
				}
				done++
			}
		}
	}
	r.progress(total, total, "")
	return r.samples, nil
}

// sample takes one sample unless c is left out of the cell. The error is for the whole run.
func (r *runner) sample(ctx context.Context, c *contestant.Contestant, cell, round int) error {
	at := slot{cell, c.Name}
	if r.failed[at] {
		return nil
	}
	s := Sample{Cell: cell, Contestant: c.Name, Round: round}
	err := r.unavailable[c.Name]
	if err == nil {
		err = r.measure(ctx, c, r.Cells[cell], &s)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.Error, r.failed[at] = err.Error(), true
	}
	r.samples = append(r.samples, s)
	return nil
}

func (r *runner) progress(done, total int, text string) {
	if r.Progress != nil {
		r.Progress(done, total, text)
	}
}

// build makes the programs.
func (r *runner) build() {
	r.unavailable = map[string]error{}
	for _, c := range r.Contestants {
		if c.Build == nil {
			continue
		}
		path, err := c.Build(r.Sources, r.BuildDir)
		if err != nil {
			r.unavailable[c.Name] = err
			continue
		}
		r.programs[c.Name] = path
	}
}

// placement says where server and load run. The load stands for peers on other machines, so it never interrupts the
// server by waking up. On a shared CPU the server does not interrupt the load either: each then works off all that has
// arrived, and a request's cost does not depend on the accident of who woke whom.
func (r *runner) placement(m Mode) (server, load proc.Placement) {
	server, load = proc.Placement{CPU: -1}, proc.Placement{CPU: -1, Batch: true}
	switch m {
	case Same:
		server.CPU, load.CPU = r.cpus[0], r.cpus[0]
		server.Batch = true
	case Sep:
		server.CPU, load.CPU = r.cpus[0], r.cpus[1]
	}
	return server, load
}

func (r *runner) serverCommand(c *contestant.Contestant, sink bool) []string {
	if prog, ok := r.programs[c.Name]; ok {
		if sink {
			return []string{prog, "sink"}
		}
		return []string{prog, "echo"}
	}
	return append(slices.Clone(r.Self), ServerArgs(c.Name, sink)...)
}

func (r *runner) measure(ctx context.Context, c *contestant.Contestant, cell Cell, s *Sample) error {
	serverAt, loadAt := r.placement(cell.Mode)
	env := environment(c.Env...)
	if cell.Mode == Free && r.Procs > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(r.Procs))
	}
	srv, addr, err := startServer(ctx, r.serverCommand(c, cell.Scenario == load.Sink), env, serverAt, r.StartLimit)
	if err != nil {
		return err
	}
	cfg := load.Config{Addr: addr, ServerPID: srv.cmd.Process.Pid, Scenario: cell.Scenario, Conns: cell.Conns,
		Size: cell.Size, Pipeline: cell.Pipeline, Warmup: r.Warmup, Window: r.Window}
	if cell.Scenario == load.Idle {
		cfg.Warmup, cfg.Window = r.Settle, r.IdleWindow
	}
	s.Result, err = r.load(ctx, cfg, loadAt)
	stopErr := srv.stop()
	if err = errors.Join(err, stopErr); err != nil {
		return err
	}
	if s.Result.TotalRequests > 0 {
		s.SyscallsPerRequest = float64(srv.stats.Syscalls) / float64(s.Result.TotalRequests)
	}
	return nil
}

// load runs a load generator to its end.
func (r *runner) load(ctx context.Context, cfg load.Config, at proc.Placement) (res load.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.Warmup+cfg.Window+loadMargin)
	defer cancel()
	argv := append(slices.Clone(r.Self), LoadArgs(cfg)...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// The load generator never yields inside its loop; preempting it would only interrupt its system calls.
	cmd.Env = environment("GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	var out bytes.Buffer
	var stderr head
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.WaitDelay = stopLimit
	if err := proc.Start(at, cmd); err != nil {
		return res, fmt.Errorf("load generator: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("did not finish: %w", ctx.Err())
		}
		return res, fmt.Errorf("load generator: %w: %s", err, stderr.String())
	}
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		return res, fmt.Errorf("load generator said %q: %w", out.String(), err)
	}
	return res, nil
}
