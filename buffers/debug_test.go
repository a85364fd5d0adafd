package buffers

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// debugMode switches debug mode on for the test. Tests that call it must not be parallel.
func debugMode(t *testing.T) {
	was := SetDebug(true)
	t.Cleanup(func() { SetDebug(was) })
	require.Empty(t, Leaks())
}

func takeHere(t *testing.T, g *Group) Lease { return fill(t, g, 4) }
func releaseFirst(l Lease)                  { l.Release() }
func releaseSecond(l Lease)                 { l.Release() }

func panicText(t *testing.T, f func()) (text string) {
	defer func() {
		v := recover()
		require.NotNil(t, v, "no panic")
		text = v.(string)
	}()
	f()
	return ""
}

func TestDebugLeakNamesWhereItWasTaken(t *testing.T) {
	debugMode(t)
	g := newGroup(t, GroupConfig{Size: 100, Count: 2})
	p, err := NewPool(PoolConfig{})
	require.NoError(t, err)
	l := takeHere(t, g)
	require.Len(t, Leaks(), 1)
	leak := Leaks()[0]
	require.Equal(t, "group", leak.Kind)
	require.Equal(t, 100, leak.Bytes)
	require.Contains(t, leak.Stack, "buffers.takeHere ")
	require.Contains(t, leak.String(), "group lease of 100 bytes taken at")
	l.Release()
	require.Empty(t, Leaks())

	w := Wrap(make([]byte, 3))
	require.Equal(t, "wrap", Leaks()[0].Kind)
	require.Contains(t, Leaks()[0].Stack, "TestDebugLeakNames")
	w.Release()
	s, err := p.Get(1)
	require.NoError(t, err)
	require.Equal(t, "pool", Leaks()[0].Kind)
	require.Contains(t, Leaks()[0].Stack, "TestDebugLeakNames")
	s.Release()
	require.Empty(t, Leaks())
	require.NoError(t, p.Close())
}

func TestDebugDoubleRelease(t *testing.T) {
	debugMode(t)
	g := newGroup(t, GroupConfig{Size: 64, Count: 1})
	l := takeHere(t, g)
	releaseFirst(l)
	text := panicText(t, func() { releaseSecond(l) })
	require.Contains(t, text, "group lease released twice")
	for _, f := range []string{"takeHere", "releaseFirst", "releaseSecond"} {
		require.Contains(t, text, "buffers."+f+" ")
	}
	require.EqualValues(t, 1, g.Stats().DoubleReleases)

	// Lent again in the meantime: the report says who has it now.
	n := takeHere(t, g)
	text = panicText(t, func() { releaseSecond(l) })
	require.Contains(t, text, "lent again")
	require.Contains(t, text, "buffers.takeHere ")
	n.Release()

	w := Wrap([]byte("user"))
	releaseFirst(w)
	require.Equal(t, "user", string(w.r.mem), "the user's memory is not overwritten")
	require.Contains(t, panicText(t, func() { w.Release() }), "buffers.releaseFirst ")
}

func TestDebugUseAfterRelease(t *testing.T) {
	debugMode(t)
	g := newGroup(t, GroupConfig{Size: 64, Count: 1})
	l := takeHere(t, g)
	p := l.Bytes()
	copy(p, "abcd")
	releaseFirst(l)
	require.Equal(t, bytes.Repeat([]byte{poison}, 4), p)
	for name, use := range map[string]func(){
		"Bytes": func() { l.Bytes() }, "Held": func() { l.Held() }, "Charge": func() { l.Charge(new(Quota), 1) },
	} {
		text := panicText(t, use)
		require.Contains(t, text, "used after its release", name)
		require.Contains(t, text, "buffers.releaseFirst ", name)
	}
}

// TestDebugSwitchedMidway: leases from before are released as ever, leases from the time in between are not leaks.
func TestDebugSwitchedMidway(t *testing.T) {
	g := newGroup(t, GroupConfig{Size: 64, Count: 2})
	was := SetDebug(false)
	defer SetDebug(was)
	before := fill(t, g, 1)
	require.False(t, SetDebug(true))
	require.Empty(t, Leaks())
	during := fill(t, g, 1)
	before.Release()
	require.Contains(t, panicText(t, before.Release), "history is unknown")
	require.True(t, SetDebug(false))
	during.Release()
	require.Empty(t, Leaks())
	during.Release()
	require.EqualValues(t, 2, g.Stats().DoubleReleases)
}

// TestDebugKeepsFewWraps: the reports that are kept of wrapped memory are bounded.
func TestDebugKeepsFewWraps(t *testing.T) {
	debugMode(t)
	for range 3 * keptWraps {
		Wrap(nil).Release()
	}
	traces.Lock()
	defer traces.Unlock()
	require.LessOrEqual(t, len(traces.of), keptWraps+1)
	require.LessOrEqual(t, len(traces.wraps), keptWraps)
}

func TestDebugForgetsUnmapped(t *testing.T) {
	debugMode(t)
	traces.Lock()
	before := len(traces.of)
	traces.Unlock()
	g, err := NewGroup(GroupConfig{Size: 64, Count: 2})
	require.NoError(t, err)
	fill(t, g, 1).Release()
	require.NoError(t, g.Close())
	traces.Lock()
	defer traces.Unlock()
	require.Len(t, traces.of, before)
}

// askDebug tells a test process what debug mode is expected to be at its start.
const askDebug = "BUFFERS_TEST_ASK_DEBUG"

// TestDebugEnvironment runs itself with OURO_DEBUG set.
func TestDebugEnvironment(t *testing.T) {
	if want := os.Getenv(askDebug); want != "" {
		require.Equal(t, want == "on", SetDebug(false))
		return
	}
	for value, want := range map[string]string{"": "off", "buffers": "on", "net,buffers": "on", "buffersx": "off"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDebugEnvironment$")
		cmd.Env = append(os.Environ(), askDebug+"="+want, "OURO_DEBUG="+value)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "OURO_DEBUG=%q: %s", value, out)
	}
}
