//go:build linux

package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/proactor"
)

func TestMain(m *testing.M) {
	warm()
	before := openFiles()
	code := m.Run()
	// What the package's functions have started stays for the life of a process, but not of this one.
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	if err := Default().Close(ctx); err != nil && code == 0 {
		fmt.Println("close the default Files:", err)
		code = 1
	}
	cancel()
	err := goleak.Find()
	for end := time.Now().Add(hangs); err != nil && code == 0 && time.Now().Before(end); {
		err = goleak.Find()
	}
	if err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	for end := time.Now().Add(hangs); openFiles() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the kernel releases what a ring held a moment after its close
	}
	if n := openFiles(); n > before && code == 0 {
		fmt.Printf("descriptors leaked: %d before, %d after\n", before, n)
		code = 1
	}
	os.Exit(code)
}

// hangs is how long something may take before the test that waits for it fails.
const hangs = 30 * time.Second

// warm makes the runtime open its poller's descriptors, which stay.
func warm() {
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	r.SetReadDeadline(time.Now())
	r.Close()
	w.Close()
}

func openFiles() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(d)
}

// A place is where a test runs: on a backend, on an ordinary goroutine or on a coroutine.
type place struct {
	*Files
	engine    *proactor.Engine
	coroutine bool
}

// everywhere runs f in each place.
func everywhere(t *testing.T, f func(t *testing.T, p place)) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		for _, co := range []bool{false, true} {
			name := b.String() + "/goroutine"
			if co {
				name = b.String() + "/coroutine"
			}
			t.Run(name, func(t *testing.T) {
				p := newPlace(t, b)
				p.coroutine = co
				p.run(t, func() { f(t, p) })
			})
		}
	}
}

// needRing skips where the kernel really has no io_uring.
func needRing(t testing.TB) {
	if err := denytest.NoRing(); err != nil {
		t.Skip(err)
	}
}

func newPlace(t testing.TB, b proactor.Backend) place {
	if b == proactor.IOUring {
		needRing(t)
	}
	e, err := proactor.New(proactor.Config{Backend: b, Workers: 2, Log: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	fs, err := New(Config{Engine: e})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hangs)
		defer cancel()
		require.NoError(t, fs.Close(ctx), "leases left")
		require.NoError(t, e.Shutdown(ctx))
		require.Zero(t, e.Stats().InFlight)
		require.Zero(t, fs.Stats().Waiting)
	})
	return place{Files: fs, engine: e}
}

// run runs f in p and waits for it.
func (p place) run(t testing.TB, f func()) {
	if !p.coroutine {
		f()
		return
	}
	done := make(chan struct{})
	require.NoError(t, p.engine.Executor().Go(func() {
		defer close(done)
		f()
	}))
	<-done
}

// goes starts f in p.
func (p place) goes(f func()) {
	if !p.coroutine {
		go f()
		return
	}
	if err := p.engine.Executor().Go(f); err != nil {
		panic(err)
	}
}

// temp is the path of a new file with the given content, in a directory that goes with the test.
func temp(t testing.TB, content []byte) string {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, content, 0o600))
	return name
}

// pattern is n bytes that tell where they are from.
func pattern(from, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		at := from + i
		p[i] = byte(at) ^ byte(at>>8) ^ byte(at>>16)*7
	}
	return p
}
