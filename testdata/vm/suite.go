package main

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ouro-io/ouro/internal/vm"
	"github.com/ouro-io/ouro/internal/vm/plan"
)

const module = "github.com/ouro-io/ouro/"

// suite is a package's tests as they run in guests.
type suite struct {
	pkg string
	// run and skip pick tests, unless all are asked for: an emulated CPU is 10 to 30 times slower, so those run that
	// the kernel can make a difference to and that do not take long.
	run, skip string
	// off: they also run where io_uring is blocked; offRun picks fewer then.
	off    bool
	offRun string
}

const (
	// The backends' suite, once, without what hands the CPU to and fro thousands of times.
	contract = "^TestContract$"
	stress   = "^TestContract$/^wait$/^Wake_is_never_lost$|^TestContract$/^life$/^Wake_while_closing$"
	// What an engine is for, on either backend.
	engineTests = "^(TestAuto.*|TestForced.*|TestCoroutineEcho|TestCallbackEcho|TestDeadline.*|TestLinger.*|TestSend.*|TestBroken.*|" +
		"TestConfig.*|TestAcceptor.*|TestNothingFollows.*|TestEvenSpread|TestFault.*)$"
	netTests = "^(TestServe.*|TestHandler.*|TestShutdownInFlight|TestDeadline.*|TestClose.*|TestReset|TestOutOfDescriptors|" +
		"TestCopies|TestRaw.*|TestEndOfStream|TestListenerErrors|TestDialErrors|TestLeaseMoves|TestMoveKeeps.*|TestOptions)$"
)

var suites = []suite{
	{pkg: "uring"},
	{pkg: "buffers", run: "^(TestGroup.*|TestPool.*|TestLease.*)$"},
	{pkg: "executor", skip: "^(TestDequeStress|TestWaiterPassesToken)$"},
	{pkg: "internal/netpark", off: true},
	{pkg: "reactorfallback", run: contract, skip: stress, off: true, offRun: "^TestContract$/^(send|accept|connect)$"},
	{pkg: "proactor/ringbackend", run: contract + "|^Test[^C].*$", skip: stress},
	{pkg: "proactor", run: engineTests, off: true, offRun: "^(TestForcedEpoll|TestCoroutineEcho|TestCallbackEcho|TestDeadlines)$"},
	{pkg: "internal/faults", run: "^(TestBadNetworks|TestPeerVanishes|TestForkSharesNoRing|TestWorkWithoutLockedMemory|TestWorkWithoutTheRing)$"},
	{pkg: "net", run: netTests, off: true, offRun: "^(TestServeEcho|TestCloseWhileWaiting|TestReset|TestDialErrors)$"},
	{pkg: "file", run: "^(TestDirect.*|TestPageCacheFirst|TestBatch.*|TestVectors|TestContext.*|TestCloseMeanwhile|TestSameTransfers|TestSameErrors|TestSameOtherFiles|TestCopies|TestPipes)$",
		off: true, offRun: "^(TestBatch|TestSameTransfers|TestContextEndsMeanwhile|TestCopies)$"},
	// Of the patterns what ends in a socket, a file or a cancel in the kernel; of the locks, whether those who wait are woken.
	{pkg: "csp", run: "^(TestConn.*|TestFromConnBackpressure|TestToConnBackpressure|TestBridges|TestChanClose.*)$",
		off: true, offRun: "^(TestConnFrames|TestFromConnBackpressure)$"},
	{pkg: "stream", run: "^(TestBackpressure|TestCancelConnections|TestLeasesPass|TestDatagrams|TestFiles|TestShortWrite)$",
		off: true, offRun: "^(TestCancelConnections|TestDatagrams)$"},
	{pkg: "future", run: "^(TestAwait.*|TestCancelReachesTheKernel|TestTime|TestSelect)$"},
	{pkg: "actor", run: "^(TestAsk|TestConnectionActor|TestGracefulStop|TestShutdownStopsWhatWaits)$"},
	{pkg: "locks", run: "^(TestMutexFIFO|TestMutexCancel|TestRWMutexOrder|TestSemaphoreCancel|TestCondCancel)$"},
}

// How io_uring is taken away.
var blockades = []struct {
	name   string
	sysctl map[string]string
	deny   string
}{
	{name: "sysctl", sysctl: map[string]string{"kernel.io_uring_disabled": "2"}},
	{name: "seccomp", deny: "setup=EPERM"},
}

// stepLimit guards against a hang.
const stepLimit = 6 * time.Minute

// builder makes plans and keeps what it has compiled.
type builder struct {
	root, dir string
	built     map[string]string
}

func (b *builder) build(ctx context.Context, pkg string, test bool) (string, error) {
	name := strings.ReplaceAll(pkg, "/", "-")
	if test {
		name += ".test"
	}
	if p := b.built[name]; p != "" {
		return p, nil
	}
	p, err := vm.Build(ctx, b.root, b.dir, module+pkg, name, test)
	if err == nil {
		if b.built == nil {
			b.built = map[string]string{}
		}
		b.built[name] = p
	}
	return p, err
}

// plan makes the plan for a kernel and everything that it needs. only picks steps.
func (b *builder) plan(ctx context.Context, k vm.Kernel, only *regexp.Regexp, full bool) (p plan.Plan, files []vm.File, err error) {
	placed := map[string]bool{}
	place := func(pkg string, test bool) (string, error) {
		from, err := b.build(ctx, pkg, test)
		to := "/bin/" + filepath.Base(from)
		if err == nil && !placed[to] {
			placed[to] = true
			files = append(files, vm.File{Path: to, From: from, Mode: 0o755})
		}
		return to, err
	}
	guest, err := b.build(ctx, strings.TrimPrefix(vm.GuestPackage, module), false)
	if err != nil {
		return p, nil, err
	}
	files = append(files, vm.File{Path: "/init", From: guest, Mode: 0o755})
	for _, name := range []string{"veth", "sch_netem", "sch_tbf"} {
		if from, ok := k.Modules[name]; ok {
			to := "/lib/" + filepath.Base(from)
			files = append(files, vm.File{Path: to, From: from, Mode: 0o644})
			p.Modules = append(p.Modules, to)
		}
	}
	for _, s := range steps(full) {
		if !only.MatchString(s.Name) {
			continue
		}
		if s.Command[0], err = place(s.Command[0], s.Dir != ""); err != nil {
			return p, nil, err
		}
		if s.Dir != "" {
			data, err := testdata(b.root, s.Dir)
			if err != nil {
				return p, nil, err
			}
			if !placed[s.Dir] {
				placed[s.Dir] = true
				files = append(files, data...)
			}
			s.Dir = "/src/" + s.Dir
		}
		p.Steps = append(p.Steps, s)
	}
	return p, files, nil
}

// steps lists every step. Command[0] is a package still; Dir, for tests, its folder. full runs all tests of each.
func steps(full bool) (all []plan.Step) {
	all = append(all, probe(probeStep))
	for _, s := range suites {
		run, skip := s.run, s.skip
		if full {
			run, skip = "", ""
		}
		all = append(all, tests(s.pkg, "", run, skip))
	}
	for _, b := range blockades {
		blocked := []plan.Step{probe(probeStep + "-" + b.name)}
		for _, s := range suites {
			if s.off && full {
				blocked = append(blocked, tests(s.pkg, "-"+b.name, "", ""))
			} else if s.off {
				blocked = append(blocked, tests(s.pkg, "-"+b.name, s.offRun, ""))
			}
		}
		for _, s := range blocked {
			s.Sysctl, s.Deny = b.sysctl, b.deny
			all = append(all, s)
		}
	}
	return all
}

func probe(name string) plan.Step {
	return plan.Step{Name: name, Command: []string{"cmd/ouro", "probe", "--json"}, Limit: stepLimit}
}

func tests(pkg, suffix, run, skip string) plan.Step {
	return plan.Step{
		Name: strings.ReplaceAll(pkg, "/", "-") + suffix,
		Command: []string{
			pkg, "-test.short", "-test.v", "-test.timeout=" + stepLimit.String(), "-test.run=" + run, "-test.skip=" + skip,
		},
		Dir: pkg, Limit: stepLimit + time.Minute,
	}
}

const probeStep = "probe"

// testdata is the folder that a package's tests run in: its testdata, nothing else.
func testdata(root, pkg string) (files []vm.File, err error) {
	files = append(files, vm.File{Path: path.Join("/src", pkg, ".dir"), Mode: 0o644})
	err = filepath.WalkDir(filepath.Join(root, pkg, "testdata"), func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		below, err := filepath.Rel(root, name)
		files = append(files, vm.File{Path: "/src/" + filepath.ToSlash(below), From: name, Mode: 0o644})
		return err
	})
	if os.IsNotExist(err) {
		err = nil
	}
	return files, err
}
