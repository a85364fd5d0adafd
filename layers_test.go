package ouro

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/ouro-io/ouro"

// layer is a package with everything that it may import besides the standard library.
type layer struct {
	pkg     string   // path below the module
	imports []string // packages of this module, all of them in use
	modules []string // other modules' packages, by prefix
	owns    string   // for ARCHITECTURE.md
}

var (
	kernel = []string{"golang.org/x/sys/unix"}
	// What tests may import from outside.
	testModules = []string{
		"golang.org/x/sys/unix", "golang.org/x/net/nettest", "github.com/stretchr/testify", "go.uber.org/goleak",
		"pgregory.net/rapid", "github.com/anishathalye/porcupine", "github.com/iceber/iouring-go/syscall",
	}
)

// layers is the order of the packages: each imports only those above it, and of these only the ones listed. A test may
// import any package above its own. The table in ARCHITECTURE.md is made from it.
var layers = []layer{
	{"internal/leaktest", nil, []string{"go.uber.org/goleak"}, "for tests: goroutines and descriptors that are left"},
	{"internal/exampletest", nil, []string{"github.com/stretchr/testify"}, "for tests: the examples, built and run as by a user"},
	{"uring", nil, kernel, "ring memory, entries, enter, register, the feature table; no goroutine, no policy"},
	{"buffers", nil, kernel, "memory outside the Go heap, leases, receive groups, pools, quotas"},
	{"executor", nil, nil, "workers, coroutines, Waiter, stealing, priorities, timers, hand-over; no sockets, no rings"},
	{"internal/worldtest", []string{"executor"}, []string{"github.com/stretchr/testify"},
		"for tests: the same test on goroutines and on coroutines of some workers, and with contexts that end"},
	{"internal/dgram", nil, kernel, "addresses, segmentation and system calls of datagrams"},
	{"internal/waitq", []string{"executor"}, nil, "the queue that channels and locks keep their waiting parties in"},
	{"internal/netpark", nil, kernel, "parking a goroutine on a descriptor in the Go runtime's poller"},
	{"internal/denytest", []string{"uring"}, kernel, "for tests: a process without some system call or without locked memory"},
	{"internal/vm/plan", nil, nil, "what the host and the guest of a virtual machine agree on"},
	{"internal/vm/guest", []string{"internal/denytest", "internal/vm/plan"}, kernel, "the first process of a virtual machine"},
	{"internal/vm", []string{"internal/vm/plan"}, kernel, "kernels from Debian packages, booted in qemu with static programs"},
	{"internal/op", []string{"buffers", "internal/dgram"}, kernel, "Op, Completion, Backend, System: the contract that each backend meets"},
	{"internal/optest", []string{"buffers", "internal/op"}, []string{"golang.org/x/sys/unix", "github.com/stretchr/testify"},
		"for tests: the suite that every backend runs"},
	{"internal/simkernel", []string{"buffers", "internal/dgram", "internal/op"}, kernel, "for tests: a kernel in memory and a backend on it, with every fault"},
	{"internal/fixedbuf", []string{"uring", "buffers"}, kernel, "registering leases with rings, within the limit of locked memory"},
	{"reactorfallback", []string{"buffers", "internal/dgram", "internal/netpark", "internal/op"}, kernel, "the epoll backend"},
	{"proactor/ringbackend", []string{"uring", "buffers", "internal/fixedbuf", "internal/netpark", "internal/op"}, kernel, "the io_uring backend"},
	{"proactor", []string{"uring", "buffers", "executor", "internal/dgram", "internal/op", "reactorfallback", "proactor/ringbackend"}, kernel,
		"Engine, connections, listeners, deadlines, callbacks, choice of the backend, statistics"},
	{"internal/netsim", []string{"proactor"}, nil, "for tests: what package net makes for simulations and exports to nobody"},
	{"net", []string{"buffers", "executor", "internal/dgram", "internal/netsim", "proactor"}, kernel, "package net's API on the engine, Serve"},
	{"file", []string{"uring", "buffers", "executor", "internal/fixedbuf", "internal/op", "proactor"}, kernel,
		"files with package os's API on the engine: the page cache first, then a ring"},
	{"internal/simtest", nil, nil, "random programs on the simulated kernel, against a model"},
	{"locks", []string{"internal/waitq"}, nil, "mutex, read-write mutex, semaphore, condition, once, with contexts"},
	{"csp", []string{"buffers", "executor", "internal/waitq", "net"}, nil, "channels, broadcast, watch, oneshot, select, frames over connections"},
	{"internal/routine", []string{"executor"}, nil, "for the adaptors: start a part, and wake it by time, where the caller runs"},
	{"future", []string{"executor", "internal/routine"}, nil, "futures and promises: in sequence, of many, by time"},
	{"stream", []string{"buffers", "executor", "internal/routine"}, nil, "streams on demand: operators, framing, sources and sinks over connections, files, time"},
	{"actor", []string{"executor", "future", "internal/routine", "stream"}, nil, "actors: mailboxes, ask, supervision, watching, registry, connections as actors"},
	{"examples/chat", []string{"csp", "executor", "locks", "net"}, nil, "a chat server, by broadcast"},
	{"examples/router", []string{"csp", "executor", "net"}, nil, "requests by urgency, by select"},
	{"examples/graceful", []string{"csp", "executor", "net"}, nil, "a server that ends as a scope does"},
	{"internal/faults", nil, nil, "tests that injure the process and the network around running engines"},
	{"examples/echo", nil, nil, "the test of the examples"},
	{"examples/flow", nil, nil, "the test of the examples for streams, futures and actors"},
	{"examples/flow/limiter", []string{"executor", "net", "stream"}, nil, "a rate-limited proxy by streams"},
	{"examples/flow/pipeline", []string{"executor", "net", "stream"}, nil, "a pipeline with backpressure"},
	{"examples/flow/scatter", []string{"executor", "future", "net"}, nil, "scatter and gather with futures and limits"},
	{"examples/flow/workers", []string{"actor", "future"}, nil, "a supervised tree of workers"},
	{"examples/echo/serve", []string{"net"}, nil, "echo with coroutines"},
	{"examples/echo/leases", []string{"net"}, nil, "echo without copying"},
	{"examples/echo/callbacks", []string{"buffers", "proactor"}, nil, "echo with callbacks"},
	{"examples/echo/goroutines", []string{"net"}, nil, "echo with goroutines"},
	{"examples/fileserver", []string{"net", "file"}, nil, "an HTTP file server"},
	{"examples/proxy", []string{"future", "net"}, nil, "a TCP proxy"},
	{"cmd/ouro", []string{"uring", "buffers", "proactor", "net"}, []string{"golang.org/x/sys/unix", "github.com/urfave/cli/v3"},
		"the command: probe and echo"},
	{"", nil, nil, "the overview for readers, and the tests of the repository itself"},
}

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath, Dir                    string
	Imports, TestImports, XTestImports []string
}

// TestLayers holds the import graph of the module against the table, in both directions.
func TestLayers(t *testing.T) {
	for _, e := range violations(layers, listPackages(t)) {
		t.Error(e)
	}
}

// TestLayersNotices breaks each rule of the table once, so that TestLayers is known to be able to fail.
func TestLayersNotices(t *testing.T) {
	table := []layer{{pkg: "low"}, {pkg: "mid", imports: []string{"low"}, modules: kernel}, {pkg: "high", imports: []string{"mid"}}}
	full := func(paths ...string) (out []string) {
		for _, p := range paths {
			out = append(out, modulePath+"/"+p)
		}
		return out
	}
	good := []pkg{
		{ImportPath: modulePath + "/low", Imports: []string{"fmt"}},
		{ImportPath: modulePath + "/mid", Imports: append(full("low"), "golang.org/x/sys/unix")},
		{ImportPath: modulePath + "/high", Imports: full("mid"), TestImports: full("low")},
	}
	require.Empty(t, violations(table, good))
	for name, c := range map[string]struct {
		change func(ps []pkg) []pkg
		want   string
	}{
		"unknown package": {func(ps []pkg) []pkg { return append(ps, pkg{ImportPath: modulePath + "/new"}) }, "new: not in the table"},
		"missing package": {func(ps []pkg) []pkg { return ps[:2] }, "high: in the table, but there is no such package"},
		"edge not listed": {func(ps []pkg) []pkg { ps[2].Imports = full("mid", "low"); return ps }, "high imports low"},
		"edge upwards":    {func(ps []pkg) []pkg { ps[0].Imports = full("high"); return ps }, "low imports high"},
		"edge not in use": {func(ps []pkg) []pkg { ps[2].Imports = nil; return ps }, "high no longer imports mid"},
		"foreign module":  {func(ps []pkg) []pkg { ps[0].Imports = []string{"golang.org/x/sys/unix"}; return ps }, "low imports golang.org/x/sys/unix"},
		"test upwards":    {func(ps []pkg) []pkg { ps[0].XTestImports = full("mid"); return ps }, "the tests of low import mid"},
	} {
		t.Run(name, func(t *testing.T) {
			got := violations(table, c.change(slices.Clone(good)))
			require.Len(t, got, 1)
			require.ErrorContains(t, got[0], c.want)
		})
	}
}

// violations lists what is wrong with the imports of ps.
func violations(table []layer, ps []pkg) (errs []error) {
	rank := map[string]int{}
	for i, l := range table {
		rank[l.pkg] = i
		for _, dep := range l.imports {
			if at, ok := rank[dep]; !ok || at == i {
				errs = append(errs, fmt.Errorf("%s: the table lets it import %s, which does not stand above it", l.pkg, dep))
			}
		}
	}
	seen := map[string]bool{}
	for _, p := range ps {
		name := below(p.ImportPath)
		i, ok := rank[name]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: not in the table of layers_test.go; give it its place there and in ARCHITECTURE.md", name))
			continue
		}
		seen[name] = true
		errs = append(errs, judge(table[i], p, func(dep string) bool { at, ok := rank[dep]; return ok && at < i })...)
	}
	for _, l := range table {
		if !seen[l.pkg] {
			errs = append(errs, fmt.Errorf("%s: in the table, but there is no such package", l.pkg))
		}
	}
	return errs
}

// judge holds one package against its row. above tells which packages its tests may use.
func judge(l layer, p pkg, above func(string) bool) (errs []error) {
	for _, dep := range p.Imports {
		own, local := strings.CutPrefix(dep, modulePath+"/")
		switch {
		case local && !slices.Contains(l.imports, own):
			errs = append(errs, fmt.Errorf("%s imports %s, which its row does not list", l.pkg, own))
		case !local && foreign(dep) && !hasPrefix(l.modules, dep):
			errs = append(errs, fmt.Errorf("%s imports %s, which its row does not list", l.pkg, dep))
		}
	}
	for _, dep := range l.imports {
		if !slices.Contains(p.Imports, modulePath+"/"+dep) {
			errs = append(errs, fmt.Errorf("%s no longer imports %s: take it out of its row", l.pkg, dep))
		}
	}
	for _, dep := range slices.Concat(p.TestImports, p.XTestImports) {
		own, local := strings.CutPrefix(dep, modulePath+"/")
		switch {
		case local && own != l.pkg && !above(own):
			errs = append(errs, fmt.Errorf("the tests of %s import %s, which does not stand above it", l.pkg, own))
		case !local && foreign(dep) && !hasPrefix(slices.Concat(l.modules, testModules), dep):
			errs = append(errs, fmt.Errorf("the tests of %s import %s, which is not among testModules", l.pkg, dep))
		}
	}
	return errs
}

// below is the path of a package within the module.
func below(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, modulePath), "/")
}

// foreign reports whether an import path is neither the standard library's nor this module's.
func foreign(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return path != modulePath && strings.Contains(first, ".")
}

func hasPrefix(prefixes []string, path string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// listPackages asks the go command for the packages of the root module, as they are on Linux.
func listPackages(t *testing.T) []pkg {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,TestImports,XTestImports", "./...")
	cmd.Env = append(os.Environ(), "GOOS=linux")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var ps []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else {
			require.NoError(t, err)
		}
		ps = append(ps, p)
	}
}
