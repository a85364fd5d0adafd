//go:build linux

package uring

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestFeatureTableIsComplete(t *testing.T) {
	names := map[string]bool{}
	for _, f := range FeatureTable() {
		require.False(t, names[f.Name], f.Name)
		names[f.Name] = true
		require.NotEmpty(t, f.How, f.Name)
		var major, minor int
		_, err := fmt.Sscanf(f.FirstKernel, "%d.%d", &major, &minor)
		require.NoError(t, err, f.Name)
	}
	for op := range opCount {
		require.True(t, names["op."+OpName(op)], OpName(op))
	}
	for i := range featureNames {
		require.True(t, names["feat."+featureNames[i]], featureNames[i])
	}
	// What the engine is built on must say what happens without it.
	for _, f := range FeatureTable() {
		for _, used := range []string{"setup.CLAMP", "setup.SUBMIT_ALL", "setup.COOP_TASKRUN", "setup.NO_SQARRAY",
			"setup.SINGLE_ISSUER", "setup.DEFER_TASKRUN", "register.", "use.", "feat.EXT_ARG", "feat.NO_IOWAIT", "op.RECV"} {
			if strings.HasPrefix(f.Name, used) && f.Name != "op.RECV_ZC" {
				require.NotEmpty(t, f.Without, f.Name)
			}
		}
	}
	_, ok := ProbeFeature("no.such")
	require.False(t, ok)
}

func TestProbesAgreeWithEachOther(t *testing.T) {
	r := newRing(t, Params{})
	ops, err := r.Probe()
	require.NoError(t, err)
	first := ProbeFeatures()
	require.Equal(t, first, ProbeFeatures(), "conclusive answers are kept")
	for _, f := range first {
		one, ok := ProbeFeature(f.Name)
		require.True(t, ok)
		require.Equal(t, f, one)
		if name, ok := strings.CutPrefix(f.Name, "op."); ok {
			for op := range opCount {
				if OpName(op) == name {
					require.Equal(t, ops.Has(op), f.State == Yes, name)
				}
			}
		}
	}
}

func TestOnlyConclusiveAnswersAreKept(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	const name = "feat.EXT_ARG"
	asked, _ := ProbeFeature(name)
	featureCache.Lock()
	kept := featureCache.results[name]
	require.Equal(t, asked, kept)
	kept.Detail = "from the cache"
	featureCache.results[name] = kept
	featureCache.Unlock()
	again, _ := ProbeFeature(name)
	require.Equal(t, "from the cache", again.Detail)
	featureCache.Lock()
	delete(featureCache.results, name)
	featureCache.Unlock()
	again, _ = ProbeFeature(name)
	require.Equal(t, asked, again)

	f := feature{Feature{Name: "test.shy"}, func(*prober) (State, string) { return Unknown, "not now" }}
	require.Equal(t, Unknown, probeRows([]feature{f})[0].State)
	f.try = func(*prober) (State, string) { return Yes, "" }
	require.Equal(t, Yes, probeRows([]feature{f})[0].State)
	featureCache.Lock()
	delete(featureCache.results, "test.shy")
	featureCache.Unlock()
}

// On a vanilla kernel the versions in the table check the probes: nothing is seen before its time, and everything of
// an earlier kernel is there unless it can be configured out.
func TestProbesAgreeWithTheVersion(t *testing.T) {
	if err := Available(); err != nil {
		t.Skip(err)
	}
	var u unix.Utsname
	require.NoError(t, unix.Uname(&u))
	release := unix.ByteSliceToString(u.Release[:])
	if strings.Contains(release, ".el") {
		t.Skip("this vendor moves features between versions:", release)
	}
	running := version(t, release)
	optional := map[string]bool{"register.NAPI": true, "use.futex": true, "op.RECV_ZC": true, "op.EPOLL_WAIT": true}
	// 5.10.162 and later have the io_uring of 5.15, as far as it lives in that subsystem.
	newest := running
	if running == version(t, "5.10") {
		newest = version(t, "5.15")
	}
	for _, f := range ProbeFeatures() {
		if f.State == Unknown {
			t.Logf("%s is not known: %s", f.Name, f.Detail)
			continue
		}
		due := running >= version(t, f.FirstKernel)
		if f.State == Yes {
			require.True(t, newest >= version(t, f.FirstKernel), "%s on %s, the table says %s", f.Name, release, f.FirstKernel)
		} else if !optional[f.Name] {
			require.False(t, due, "%s is missing on %s, the table says %s: %s", f.Name, release, f.FirstKernel, f.Detail)
		}
	}
}

func version(t *testing.T, s string) int {
	var major, minor int
	_, err := fmt.Sscanf(s, "%d.%d", &major, &minor)
	require.NoError(t, err, s)
	return major*1000 + minor
}

func TestSupportsAddsWhatAFlagNeeds(t *testing.T) {
	require.Equal(t, SetupDeferTaskrun|SetupSingleIssuer|SetupTaskrunFlag, companions(SetupDeferTaskrun|SetupTaskrunFlag))
	require.Equal(t, SetupCoopTaskrun|SetupTaskrunFlag, companions(SetupTaskrunFlag))
	require.Equal(t, SetupSQAff|SetupSQPoll, companions(SetupSQAff))
	_, err := Supports(SetupNoMmap)
	require.Error(t, err)
	if err := Available(); err != nil {
		t.Skip(err)
	}
	ok, err := Supports(1 << 31)
	require.NoError(t, err)
	require.False(t, ok)
	ok, err = Supports(0)
	require.NoError(t, err)
	require.True(t, ok)
}

func TestStateText(t *testing.T) {
	for s, want := range map[State]string{Yes: "yes", No: "no", Unknown: "unknown", 9: "invalid"} {
		b, err := s.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
}
