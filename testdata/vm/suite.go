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

// suite is a package's tests as they run in guests. An emulated CPU is 10 to 30 times slower, so where a package's tests
// are many those are picked that a kernel can make a difference to.
type suite struct {
	pkg  string
	args []string
	// off: they also run where io_uring is blocked.
	off bool
}

var suites = []suite{
	{pkg: "uring"},
	{pkg: "buffers"},
	{pkg: "executor"},
	{pkg: "internal/netpark", off: true},
	{pkg: "reactorfallback", off: true},
	{pkg: "proactor/ringbackend"},
	{pkg: "proactor", off: true},
	{pkg: "net", off: true},
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
func (b *builder) plan(ctx context.Context, k vm.Kernel, only *regexp.Regexp) (p plan.Plan, files []vm.File, err error) {
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
	for _, s := range steps() {
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

// steps lists every step. Command[0] is a package still; Dir, for tests, its folder.
func steps() (all []plan.Step) {
	all = append(all, plan.Step{Name: probeStep, Command: []string{"cmd/ouro", "probe", "--json"}, Limit: stepLimit})
	tests := func(s suite, suffix string) plan.Step {
		args := append([]string{s.pkg, "-test.short", "-test.v", "-test.timeout=" + stepLimit.String()}, s.args...)
		return plan.Step{Name: strings.ReplaceAll(s.pkg, "/", "-") + suffix, Command: args, Dir: s.pkg, Limit: stepLimit + time.Minute}
	}
	for _, s := range suites {
		all = append(all, tests(s, ""))
	}
	for _, b := range blockades {
		probe := plan.Step{Name: probeStep + "-" + b.name, Command: []string{"cmd/ouro", "probe", "--json"}, Limit: stepLimit}
		blocked := []plan.Step{probe}
		for _, s := range suites {
			if s.off {
				blocked = append(blocked, tests(s, "-"+b.name))
			}
		}
		for _, s := range blocked {
			s.Sysctl, s.Deny = b.sysctl, b.deny
			all = append(all, s)
		}
	}
	return all
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
