//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/proactor"
	"github.com/ouro-io/ouro/uring"
)

// golden compares got with a file below testdata, or writes the file with -update.
func golden(t *testing.T, name, got string) {
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "if that is meant: go test ./cmd/ouro -update")
}

func probeJSON(t *testing.T, r result) (rep Report) {
	d := json.NewDecoder(strings.NewReader(r.stdout))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&rep), "%+v", r)
	return rep
}

// paths lists the fields of a JSON document: "limits.memlock.soft number". Elements of an array share a path.
func paths(prefix string, v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			out = append(out, paths(strings.TrimPrefix(prefix+"."+k, "."), x)...)
		}
	case []any:
		out = append(out, prefix+"[]")
		for _, x := range v {
			out = append(out, paths(prefix+"[]", x)...)
		}
	default:
		out = append(out, prefix)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestJSONSchema keeps the fields of the document: programs read it.
func TestJSONSchema(t *testing.T) {
	r := inside("probe", "--json")
	var doc any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &doc))
	got := slices.DeleteFunc(paths("", doc), func(p string) bool { return p == "advice[]" }) // may be empty
	golden(t, "schema.txt", strings.Join(got, "\n")+"\n")
}

func TestProbeHere(t *testing.T) {
	rep := probeJSON(t, inside("probe", "--json"))
	require.Equal(t, schemaVersion, rep.Schema)
	require.Len(t, rep.Features, len(uring.FeatureTable()))
	names := map[string]bool{}
	for _, f := range rep.Features {
		require.NotEmpty(t, f.FirstKernel, f.Name)
		require.Contains(t, []string{"yes", "no", "unknown"}, f.State, f.Name)
		require.False(t, names[f.Name], f.Name)
		names[f.Name] = true
	}
	for _, n := range needed {
		require.True(t, names[n], "%s is not in uring's table any more", n)
	}
	e, err := proactor.New(proactor.Config{Log: func(string) {}})
	if err != nil {
		require.Equal(t, err.Error(), rep.Backend.Error)
		return
	}
	defer func() { require.NoError(t, e.Shutdown(t.Context())) }()
	require.Equal(t, e.Info().Backend.String(), rep.Backend.Chosen, "the engine's own choice")
	require.Equal(t, e.Info().Reason, rep.Backend.Reason)

	brief := probeJSON(t, inside("probe", "--json", "--brief"))
	require.Empty(t, brief.Features)
	require.Equal(t, rep.Backend, brief.Backend)
}

// limitOf makes a limit that is finite.
func limitOf(soft, hard uint64) Limit { return Limit{&soft, &hard} }

// sample is a report that looks the same on each machine.
func sample() Report {
	off, none := 0, -1
	return Report{
		Schema:  schemaVersion,
		Backend: Backend{Requested: "auto", Chosen: "io_uring", Workers: 2},
		IOUring: IOUring{Available: true},
		Kernel:  Kernel{Release: "6.12.1", Machine: "x86_64"},
		Go:      GoInfo{Version: "go1.26", CPUs: 4, MaxProcs: 2},
		Limits:  Limits{Memlock: limitOf(8<<20, 8<<20), Nofile: limitOf(20000, 1<<20)},
		Sysctl:  Sysctl{Disabled: &off, Group: &none},
		Process: Process{UID: 1000, Seccomp: "none"},
		Advice:  []string{},
		Features: []Feature{
			{Name: "setup.NO_SQARRAY", State: "yes", FirstKernel: "6.6", Without: "one indirection per entry"},
			{Name: "setup.CQE_MIXED", State: "no", FirstKernel: "6.18"},
			{Name: "use.futex", State: "unknown", FirstKernel: "6.7", Without: "a goroutine waits", Detail: "no answer"},
		},
	}
}

// blocked is a report from a container that allows nothing.
func blocked() Report {
	r := sample()
	r.Backend = Backend{Requested: "auto", Chosen: "epoll", Reason: "io_uring setup: operation not permitted: a seccomp filter …", Workers: 2}
	r.IOUring = IOUring{
		Call: "setup", Errno: "EPERM", Cause: "a seccomp filter or a security module forbids io_uring_setup",
		Remedy: "allow io_uring_setup, …", Error: r.Backend.Reason,
	}
	r.Process = Process{UID: 1000, Seccomp: "filter", SeccompFilters: 1, NoNewPrivs: true}
	r.Limits = Limits{Memlock: Limit{}, Nofile: limitOf(1024, 1024)}
	r.Sysctl = Sysctl{}
	r.Advice = advise(r)
	return r
}

func TestText(t *testing.T) {
	for name, r := range map[string]Report{"works.txt": sample(), "blocked.txt": blocked()} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, writeText(&b, r))
			golden(t, name, b.String())
		})
	}
}

func TestAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *Report)
		want   []string // one part of each piece of advice, in order
	}{
		"all well": {func(*Report) {}, nil},
		"few descriptors": {func(r *Report) { r.Limits.Nofile = limitOf(1024, 4096) },
			[]string{"RLIMIT_NOFILE is 1024"}},
		"epoll asked for": {func(r *Report) { r.Backend = Backend{Requested: "epoll", Chosen: "epoll", Reason: "asked for"} },
			[]string{"unset OURO_BACKEND"}},
		"epoll asked for, and nothing else to be had": {func(r *Report) {
			r.Backend = Backend{Requested: "epoll", Chosen: "epoll", Reason: "asked for"}
			r.IOUring.Available = false
		}, nil},
		"sysctl": {func(r *Report) {
			r.Backend = Backend{Requested: "auto", Chosen: "epoll"}
			r.IOUring = IOUring{Call: "setup", Errno: "EPERM", Cause: "sysctl kernel.io_uring_disabled is 2", Remedy: "as root: sysctl …"}
			r.Process.Seccomp = "filter" // there may be one that has nothing to do with it
		}, []string{"as root: sysctl"}},
		"seccomp": {func(r *Report) { *r = blocked(); r.Limits = sample().Limits },
			[]string{"allow io_uring_setup", "the profile's allowed ones"}},
		"memory, no ring": {func(r *Report) {
			r.Backend = Backend{Requested: "auto", Chosen: "epoll"}
			r.IOUring = IOUring{Call: "setup", Errno: "ENOMEM", Remedy: "use smaller rings"}
			r.Limits.Memlock = limitOf(64<<10, 64<<10)
		}, []string{"use smaller rings", "RLIMIT_MEMLOCK is 64 KiB"}},
		"memory, small rings only": {func(r *Report) {
			r.Backend = Backend{Requested: "auto", Chosen: "epoll", Reason: "…or RLIMIT_MEMLOCK (ulimit -l) is used up"}
		}, []string{"RLIMIT_MEMLOCK is 8192 KiB"}},
		"old kernel": {func(r *Report) {
			r.Backend = Backend{Requested: "auto", Chosen: "epoll", Reason: "invalid argument"}
			r.Features = []Feature{
				{Name: "setup.COOP_TASKRUN", State: "no", FirstKernel: "5.19"},
				{Name: "use.recv-multishot", State: "no", FirstKernel: "6.0", Without: "no sockets on the ring: epoll is used"},
				{Name: "op.SEND_ZC", State: "no", FirstKernel: "6.0", Without: "data is copied"},
				{Name: "feat.NODROP", State: "yes", FirstKernel: "5.5", Without: "epoll is used"},
			}
		}, []string{"this one lacks setup.COOP_TASKRUN (5.19), use.recv-multishot (6.0);"}},
		"forced": {func(r *Report) {
			r.Backend = Backend{Requested: "uring", Error: "io_uring was asked for"}
			r.IOUring = IOUring{Call: "setup", Errno: "ENOSYS", Remedy: "use a newer kernel"}
		}, []string{"use a newer kernel", "OURO_BACKEND=auto"}},
		"forced, no such backend": {func(r *Report) {
			r.Backend = Backend{Requested: "kqueue", Error: "use auto, uring or epoll"}
		}, []string{`OURO_BACKEND="kqueue" is none of`}},
	} {
		t.Run(name, func(t *testing.T) {
			r := sample()
			c.change(&r)
			got := advise(r)
			require.Len(t, got, len(c.want), "%q", got)
			for i, w := range c.want {
				require.Contains(t, got[i], w)
			}
		})
	}
}

// A switch that is not there is told from one that cannot be seen.
func TestSysctls(t *testing.T) {
	dir := t.TempDir()
	require.Equal(t, Sysctl{}, sysctls(dir))
	require.Contains(t, sysctlText(sysctls(dir)), "does not exist")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "io_uring_disabled"), []byte("1\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "io_uring_group"), []byte("7\n"), 0o600))
	require.Contains(t, sysctlText(sysctls(dir)), "io_uring_disabled=1 (CAP_SYS_ADMIN")
	require.Equal(t, 7, *sysctls(dir).Group)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "io_uring_disabled"), []byte("x\n"), 0o600))
	require.Contains(t, sysctlText(sysctls(dir)), "unknown: ")
	require.Contains(t, sysctlText(sysctls(filepath.Join(dir, "no proc"))), "unknown: ")
}

func TestParseStatus(t *testing.T) {
	require.Equal(t, Process{UID: 7, Seccomp: "filter", SeccompFilters: 2, NoNewPrivs: true},
		parseStatus("Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\n", 7))
	require.Equal(t, Process{Seccomp: "none"}, parseStatus("Seccomp:\t0\n", 0))
	require.Equal(t, Process{Seccomp: "unknown"}, parseStatus("", 0))
}

// TestDenied runs the command in processes that may not use io_uring, one way or the other.
func TestDenied(t *testing.T) {
	if err := uring.Available(); err != nil {
		t.Skip("needs io_uring, to take it away: ", err)
	}
	for _, c := range []struct{ deny, call, errno, cause, advice string }{
		{"setup=EPERM", "setup", "EPERM", "seccomp filter", "seccomp profile"},
		{"setup=ENOSYS", "setup", "ENOSYS", "no io_uring", "newer kernel"},
		{"enter=EPERM", "enter", "EPERM", "forbids io_uring_enter", "seccomp profile"},
		{"register=ENOSYS", "register", "ENOSYS", "hides io_uring_register", "seccomp profile"},
	} {
		t.Run(c.deny, func(t *testing.T) {
			env := []string{denytest.Env + "=" + c.deny, proactor.BackendEnv + "="}
			r := child(t, env, "probe", "--json")
			require.Zero(t, r.status, r.stderr)
			rep := probeJSON(t, r)
			require.Equal(t, "epoll", rep.Backend.Chosen)
			require.Equal(t, rep.IOUring.Error, rep.Backend.Reason, "the engine's reason and the probe's are one")
			require.False(t, rep.IOUring.Available)
			require.Equal(t, []string{c.call, c.errno}, []string{rep.IOUring.Call, rep.IOUring.Errno})
			require.Contains(t, rep.IOUring.Cause, c.cause)
			require.Contains(t, strings.Join(rep.Advice, "\n"), c.advice)
			require.Equal(t, "filter", rep.Process.Seccomp)
			require.True(t, rep.Process.NoNewPrivs)

			text := child(t, env, "probe", "--brief")
			require.Zero(t, text.status)
			require.Contains(t, text.stdout, "epoll with")
			require.Contains(t, text.stdout, c.cause)

			forced := child(t, append(env, proactor.BackendEnv+"=uring"), "probe", "--json", "--brief")
			require.Equal(t, exitFailed, forced.status)
			require.Contains(t, forced.stderr, "no engine starts")
			rep = probeJSON(t, forced)
			require.Empty(t, rep.Backend.Chosen)
			require.Contains(t, rep.Backend.Error, "io_uring was asked for")
			require.Contains(t, strings.Join(rep.Advice, "\n"), "OURO_BACKEND=auto")
		})
	}
}

// TestNoLockedMemory is for kernels that charge rings to RLIMIT_MEMLOCK.
func TestNoLockedMemory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	if err := uring.Available(); err != nil {
		t.Skip("needs io_uring: ", err)
	}
	r := child(t, []string{denytest.Env + "=memlock=0", proactor.BackendEnv + "="}, "probe", "--json", "--brief")
	rep := probeJSON(t, r)
	require.Equal(t, uint64(0), *rep.Limits.Memlock.Hard)
	require.Equal(t, denytest.Nobody, rep.Process.UID)
	if rep.IOUring.Available {
		t.Skip("this kernel does not charge rings to RLIMIT_MEMLOCK")
	}
	require.Equal(t, "epoll", rep.Backend.Chosen)
	require.Equal(t, "ENOMEM", rep.IOUring.Errno)
	require.Contains(t, strings.Join(rep.Advice, "\n"), "RLIMIT_MEMLOCK is 0 KiB")
}
