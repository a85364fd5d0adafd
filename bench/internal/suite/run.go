package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/ouro-io/ouro/bench/internal/contestant"
	"github.com/ouro-io/ouro/bench/internal/layers"
	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/bench/internal/proc"
	"github.com/ouro-io/ouro/bench/protocol"
)

// runner is the state of one Run.
type runner struct {
	*Plan
	cpus []int
	// programs are the commands of those that could be built, unavailable says why others could not.
	programs    map[string][]string
	unavailable map[string]error
	// failed holds who is left out from now on.
	failed  map[slot]bool
	samples []Sample
	// file is what is read, "" until it is needed.
	file string
}

// slot is a contestant in a cell.
type slot struct {
	cell       int
	contestant string
}

// turn is one measurement to be made.
type turn struct {
	slot
	c        *contestant.Contestant
	scenario *Scenario
	round    int
	profiled bool
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
	r := &runner{Plan: &p, cpus: cpus, programs: map[string][]string{}, unavailable: map[string]error{}, failed: map[slot]bool{}}
	defer r.removeFile()
	turns, err := r.turns()
	if err != nil {
		return nil, err
	}
	for i, t := range turns {
		what := "round " + strconv.Itoa(t.round+1)
		if t.profiled {
			what = "profiles"
		}
		c := r.Cells[t.cell]
		r.progress(i, len(turns), fmt.Sprintf("%s: %s %s c%d %s", what, c.Scenario, c.Mode, c.Conns, t.c.Name))
		if err := r.sample(ctx, t); err != nil {
			return r.samples, err
		}
	}
	r.progress(len(turns), len(turns), "")
	return r.samples, nil
}

// turns lists what is to be measured, in order.
func (r *runner) turns() ([]turn, error) {
	var out []turn
	for round := range r.Rounds + 1 {
		profiled := round == r.Rounds
		for i, cell := range r.Cells {
			if profiled && !slices.Contains(r.Profiled, i) {
				continue
			}
			s, err := Find(cell.Scenario)
			if err != nil {
				return nil, err
			}
			who, err := r.Runs(cell)
			if err != nil {
				return nil, err
			}
			for _, c := range inTurn(who, round) {
				out = append(out, turn{slot{i, c.Name}, c, s, round, profiled})
			}
		}
	}
	return out, nil
}

// inTurn is the order of a cell's contestants in a round. The baseline's twin stands half a round away from it, so that the
// two differ by what the machine changes in that time, as the others do; and each round begins with somebody else, so that
// nobody always comes first, or always after the same one.
func inTurn(who []*contestant.Contestant, round int) []*contestant.Contestant {
	n := len(who)
	who = slices.Clone(who)
	if at := slices.IndexFunc(who, func(c *contestant.Contestant) bool { return c.Name == contestant.Twin }); at >= 0 {
		twin := who[at]
		who = slices.Insert(slices.Delete(who, at, at+1), n/2, twin)
	}
	first := round * (n/3 + 1) % n
	return slices.Concat(who[first:], who[:first])
}

// sample takes one sample unless the contestant is left out of the cell. The error is for the whole run.
func (r *runner) sample(ctx context.Context, t turn) error {
	if r.failed[t.slot] {
		return nil
	}
	s := Sample{Cell: t.cell, Contestant: t.c.Name, Round: t.round, Profiled: t.profiled}
	argv, err := r.command(ctx, t.c)
	if err == nil {
		if t.scenario.Load == "" {
			s.Result, err = r.job(ctx, argv, t)
		} else {
			err = r.measure(ctx, argv, t, &s)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		s.Error, r.failed[t.slot] = err.Error(), true
	}
	r.samples = append(r.samples, s)
	return nil
}

// command is c's, built when it is first needed.
func (r *runner) command(ctx context.Context, c *contestant.Contestant) ([]string, error) {
	if err := r.unavailable[c.Name]; err != nil {
		return nil, err
	}
	if argv := r.programs[c.Name]; argv != nil {
		return argv, nil
	}
	argv, err := r.Builder.Command(ctx, c)
	if err != nil {
		r.unavailable[c.Name] = err
		return nil, err
	}
	r.programs[c.Name] = argv
	return argv, nil
}

func (r *runner) progress(done, total int, text string) {
	if r.Progress != nil {
		r.Progress(done, total, text)
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

// environ is a contestant's environment.
func (r *runner) environ(t turn) []string {
	env := environment(t.c.Env...)
	if r.Cells[t.cell].Mode == Free && r.Procs > 0 {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(r.Procs))
	}
	return env
}

// measure puts load on a server.
func (r *runner) measure(ctx context.Context, argv []string, t turn, s *Sample) (err error) {
	cell := r.Cells[t.cell]
	serverAt, loadAt := r.placement(cell.Mode)
	args := append(slices.Clone(argv), string(t.scenario.Role), "size="+strconv.Itoa(cell.Size))
	if t.scenario.Role == protocol.Proxy {
		up, addr, err := r.upstream(ctx, loadAt)
		if err != nil {
			return fmt.Errorf("upstream: %w", err)
		}
		defer func() { err = errors.Join(err, up.stop()) }()
		args = append(args, "upstream="+addr)
	}
	profile := ""
	if t.profiled && t.c.C == "" {
		f, err := os.CreateTemp("", "profile")
		if err != nil {
			return err
		}
		profile = f.Name()
		f.Close()
		defer os.Remove(profile)
		args = append(args, "profile="+profile)
	}
	srv, addr, err := startServer(ctx, args, r.environ(t), serverAt, r.StartLimit)
	if err != nil {
		return err
	}
	cfg := r.loadConfig(t, addr, srv.cmd.Process.Pid)
	s.Result, err = r.load(ctx, cfg, loadAt)
	if err = errors.Join(err, srv.stop()); err != nil {
		return err
	}
	switch {
	case s.Result.ServerSyscalls > 0 && s.Result.Requests > 0:
		s.SyscallsPerRequest = float64(s.Result.ServerSyscalls) / float64(s.Result.Requests)
	case s.Result.TotalRequests > 0:
		s.SyscallsPerRequest = float64(srv.stats.Syscalls) / float64(s.Result.TotalRequests)
	}
	if profile != "" {
		s.Layers, err = layers.OfFile(profile)
	}
	return err
}

// upstream starts the server behind a proxy, which shares the load's CPU: both stand for other machines.
func (r *runner) upstream(ctx context.Context, at proc.Placement) (*server, string, error) {
	c, err := contestant.Find(contestant.Baseline)
	if err != nil {
		return nil, "", err
	}
	argv, err := r.command(ctx, c)
	if err != nil {
		return nil, "", err
	}
	return startServer(ctx, append(slices.Clone(argv), string(protocol.Echo)), environment("GOMAXPROCS=1"), at, r.StartLimit)
}

func (r *runner) loadConfig(t turn, addr string, pid int) load.Config {
	cell := r.Cells[t.cell]
	cfg := load.Config{Addr: addr, ServerPID: pid, Kind: t.scenario.Load, Conns: cell.Conns, Size: cell.Size,
		Pipeline: cell.Pipeline, Rate: cell.Rate, Warmup: r.Warmup, Window: r.Window}
	if cfg.Kind == load.Idle {
		cfg.Warmup, cfg.Window = r.Settle, r.IdleWindow
	}
	if t.profiled {
		cfg.Window = r.ProfileWindow
		cfg.CountSyscalls = proc.CanCountSyscalls() == nil
	}
	return cfg
}

// load runs a load generator to its end.
func (r *runner) load(ctx context.Context, cfg load.Config, at proc.Placement) (res protocol.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.Warmup+cfg.Window+r.HangLimit)
	defer cancel()
	arg, err := json.Marshal(cfg)
	if err != nil {
		return res, err
	}
	argv := append(slices.Clone(r.Builder.Self), "load", string(arg))
	// The load generator never yields inside its loop; preempting it would only interrupt its system calls.
	out, err := runChild(ctx, argv, environment("GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"), at)
	if err != nil {
		return res, fmt.Errorf("load generator: %w", err)
	}
	if err := json.Unmarshal(out, &res); err != nil {
		return res, fmt.Errorf("load generator said %q: %w", out, err)
	}
	return res, nil
}

// job runs a contestant that measures itself.
func (r *runner) job(ctx context.Context, argv []string, t turn) (res protocol.Result, err error) {
	args, err := r.jobArgs(t)
	if err != nil {
		return res, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.Warmup+r.Window+r.TimerSpread+r.HangLimit)
	defer cancel()
	at, _ := r.placement(r.Cells[t.cell].Mode)
	argv = slices.Concat(argv, []string{string(t.scenario.Role)}, args)
	out, err := runChild(ctx, argv, r.environ(t), at)
	if err != nil {
		return res, err
	}
	for line := range bytes.Lines(out) {
		if j, ok := bytes.CutPrefix(line, []byte(resultPrefix)); ok {
			return res, json.Unmarshal(j, &res)
		}
	}
	return res, fmt.Errorf("said no result: %q", out)
}

func (r *runner) jobArgs(t turn) ([]string, error) {
	cell := r.Cells[t.cell]
	if t.scenario.Role == protocol.Timers {
		return []string{"count=" + strconv.Itoa(cell.Conns), "variant=" + cell.Variant,
			"spread=" + strconv.FormatInt(r.TimerSpread.Milliseconds(), 10)}, nil
	}
	if err := r.makeFile(); err != nil {
		return nil, err
	}
	return []string{"path=" + r.file, "size=" + strconv.Itoa(cell.Size), "depth=" + strconv.Itoa(cell.Pipeline),
		"random=" + flag(cell.Variant == RandomDirect || cell.Variant == RandomCached),
		"direct=" + flag(cell.Variant == RandomDirect || cell.Variant == SequentialDirect),
		"warmup=" + strconv.FormatInt(r.Warmup.Milliseconds(), 10),
		"window=" + strconv.FormatInt(max(r.Window.Milliseconds(), 1), 10)}, nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// makeFile writes the file that is read, unless it is there.
func (r *runner) makeFile() (err error) {
	if r.file != "" {
		return nil
	}
	if err := os.MkdirAll(r.Scratch, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(r.Scratch, "file-to-read-")
	if err != nil {
		return err
	}
	r.file, err = filepath.Abs(f.Name())
	return errors.Join(err, protocol.WriteFile(f, r.FileBytes), f.Sync(), f.Close())
}

func (r *runner) removeFile() {
	if r.file != "" {
		os.Remove(r.file)
	}
}
