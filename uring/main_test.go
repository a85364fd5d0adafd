//go:build linux

package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		runChild(what)
		return
	}
	before := openFDs()
	code := m.Run()
	if code == 0 {
		err := goleak.Find()
		for end := time.Now().Add(hang); err != nil && time.Now().Before(end); {
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "goroutine leak:", err)
			code = 1
		}
		// The runtime may open its poller's descriptors at first use: those are not ours.
		after := openFDs()
		for fd, name := range after {
			if _, ok := before[fd]; !ok && name != "anon_inode:[eventpoll]" && name != "anon_inode:[eventfd]" {
				fmt.Fprintln(os.Stderr, "descriptor leak:", fd, name)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func openFDs() map[string]string {
	fds := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		// The directory's own descriptor is gone by now and has no name.
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fds[e.Name()] = name
		}
	}
	return fds
}

// hang is how long a test waits for what must come; it only guards against a hang.
const hang = 20 * time.Second

// newRing sets a ring up or skips the test with the reason; it is closed at the test's end.
func newRing(t testing.TB, p Params) *Ring {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip("io_uring is not available:", err)
	}
	if ok, err := Supports(p.Flags); err != nil || !ok {
		t.Skipf("this kernel has no %v (%v)", p.Flags, err)
	}
	r, err := setupRetry(p)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// setupRetry is Setup that waits for the memory of rings just closed: an ordinary user is charged for rings on some
// kernels, and the charge comes back late.
func setupRetry(p Params) (*Ring, error) {
	for deadline := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		r, err := Setup(p)
		if !errors.Is(err, syscall.ENOMEM) || time.Now().After(deadline) {
			return r, err
		}
	}
}

// need skips the test unless the probe of that name says yes.
func need(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		res, ok := ProbeFeature(name)
		require.True(t, ok, "no such feature: %s", name)
		if res.State != Yes {
			t.Skipf("this kernel has no %s (%v %s)", name, res.State, res.Detail)
		}
	}
}

// lockThread keeps the test on its thread, as rings with an owner thread need.
func lockThread(t testing.TB) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// queue takes an entry, which must be there, fills it and names it.
func queue(t testing.TB, r *Ring, userData uint64, prep func(*SQE)) {
	t.Helper()
	s := r.GetSQE()
	require.NotNil(t, s, "submission queue full")
	prep(s)
	s.UserData = userData
}

// take submits what is queued and returns the next n completions in the kernel's order.
func take(t testing.TB, r *Ring, n int) []CQE {
	t.Helper()
	var cs []CQE
	for deadline := time.Now().Add(hang); ; {
		for len(cs) < n {
			c, ok := r.Next()
			if !ok {
				break
			}
			cs = append(cs, c)
		}
		r.PublishHead()
		if len(cs) == n && r.Queued() == 0 {
			return cs
		}
		require.True(t, time.Now().Before(deadline), "only %d of %d completions came: %+v", len(cs), n, cs)
		errno := step(r)
		if errno != 0 && errno != syscall.ETIME && errno != syscall.EINTR && errno != syscall.EAGAIN {
			require.NoError(t, errno)
		}
	}
}

// step submits and waits a while for a completion; a kernel without EXT_ARG is polled.
func step(r *Ring) syscall.Errno {
	if r.Features().Has(FeatExtArg) {
		_, errno := r.SubmitAndWait(1, time.Second)
		return errno
	}
	time.Sleep(time.Millisecond)
	_, errno := r.SubmitAndReap()
	return errno
}

// one is take of a single completion with the given name.
func one(t testing.TB, r *Ring, userData uint64) CQE {
	t.Helper()
	c := take(t, r, 1)[0]
	require.Equal(t, userData, c.UserData, "%+v", c)
	return c
}

// byName is take of n completions with different names.
func byName(t testing.TB, r *Ring, n int) map[uint64]CQE {
	t.Helper()
	m := map[uint64]CQE{}
	for _, c := range take(t, r, n) {
		require.NotContains(t, m, c.UserData)
		m[c.UserData] = c
	}
	return m
}

func res(e syscall.Errno) int32 { return -int32(e) }
