//go:build linux

package fixedbuf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/leaktest"
	"github.com/ouro-io/ouro/uring"
)

func TestMain(m *testing.M) {
	if err := denytest.Apply(); err != nil {
		panic(err)
	}
	leaktest.Main(m)
}

func newRing(t *testing.T) *uring.Ring {
	if err := denytest.NoRing(); err != nil {
		t.Skip(err)
	}
	r, err := uring.Setup(uring.Params{Entries: 8})
	// The limit is the user's: tests of other packages may have the same one at this moment.
	for end := time.Now().Add(20 * time.Second); errors.Is(err, unix.ENOMEM) && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		r, err = uring.Setup(uring.Params{Entries: 8})
	}
	require.NoError(t, err)
	return r
}

func newPool(t *testing.T, bytes int) *buffers.Pool {
	p, err := buffers.NewPool(buffers.PoolConfig{Fixed: true, MaxBytes: bytes})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// read has the ring read 4 bytes of /dev/zero into p at a place.
func read(t *testing.T, r *uring.Ring, p []byte, place uint16) int32 {
	fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	s := r.GetSQE()
	require.NotNil(t, s)
	s.PrepReadFixed(fd, p, 0, place)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if _, errno := r.SubmitAndWait(1, time.Second); errno != 0 && errno != syscall.EINTR && errno != syscall.ETIME {
			t.Fatal(errno)
		}
		if c, ok := r.Next(); ok {
			r.PublishHead()
			return c.Res
		}
	}
	t.Fatal("no completion")
	return 0
}

// Each chunk is registered at its first use, and the kernel then takes it by its place.
func TestChunksAreRegisteredAsTheyAreUsed(t *testing.T) {
	if err := budget.take(6 << 20); err != nil {
		t.Skip(err)
	}
	budget.giveBack(6 << 20)
	r, p := newRing(t), newPool(t, 6<<20)
	var tab Table
	tab.Init(r, p)
	before := budget.taken
	used := uint64(0)
	chunks := map[uint16]bool{}
	var held []buffers.Lease
	for range 6 {
		l, err := p.Get(1 << 20)
		require.NoError(t, err)
		held = append(held, l)
		place, ok := tab.Place(l.Bytes())
		require.True(t, ok, tab.Reason())
		used++
		chunks[place] = true
		require.Equal(t, Stats{Used: used, Bytes: uint64(len(chunks)) * buffers.FixedChunk}, tab.Stats())
		copy(l.Bytes(), "full")
		require.EqualValues(t, 4, read(t, r, l.Bytes()[:4], place))
		require.Equal(t, "\x00\x00\x00\x00", string(l.Bytes()[:4]))
	}
	require.Len(t, chunks, 3)
	_, ok := tab.Place(make([]byte, 100))
	require.False(t, ok)
	_, ok = tab.Place(nil)
	require.False(t, ok)
	require.Equal(t, before+6<<20, budget.taken)
	require.NoError(t, r.Close())
	tab.Closed()
	require.Equal(t, before, budget.taken)
	_, ok = tab.Place(held[0].Bytes())
	require.False(t, ok)
	for _, l := range held {
		l.Release()
	}
}

// Without a pool, or with one of the other kind, nothing is registered and nothing fails.
func TestNothingToRegister(t *testing.T) {
	r := newRing(t)
	defer r.Close()
	plain, err := buffers.NewPool(buffers.PoolConfig{})
	require.NoError(t, err)
	defer plain.Close()
	for _, p := range []*buffers.Pool{nil, plain} {
		var tab Table
		tab.Init(r, p)
		_, ok := tab.Place(make([]byte, 10))
		require.False(t, ok)
		require.Empty(t, tab.Reason())
		tab.Closed()
	}
}

// A ring that has a table already refuses a second one: the reason is told, and operations are ordinary ones.
func TestRefusedTable(t *testing.T) {
	r, p := newRing(t), newPool(t, 2<<20)
	defer r.Close()
	require.NoError(t, r.RegisterBuffersSparse(1))
	var tab Table
	tab.Init(r, p)
	require.Contains(t, tab.Reason(), "not registered")
	l, err := p.Get(4096)
	require.NoError(t, err)
	defer l.Release()
	_, ok := tab.Place(l.Bytes())
	require.False(t, ok)
}

const childEnv = "OURO_TEST_FIXEDBUF"

// TestLimitChild is the child's side of TestLimit.
func TestLimitChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("this is the child of another test")
	}
	r, p := newRing(t), newPool(t, 8<<20)
	var tab Table
	tab.Init(r, p)
	var held []buffers.Lease
	places := 0
	for range 8 {
		l, err := p.Get(1 << 20)
		require.NoError(t, err)
		held = append(held, l)
		if place, ok := tab.Place(l.Bytes()); ok {
			places++
			require.EqualValues(t, 4, read(t, r, l.Bytes()[:4], place))
		}
	}
	fmt.Printf("registered %d refused %d because %s\n", places, tab.Stats().Refused, tab.Reason())
	// What was refused is asked for again, but not each time.
	refused := tab.Stats().Refused
	for range retryEvery + 1 {
		tab.Place(held[7].Bytes())
	}
	require.LessOrEqual(t, tab.Stats().Refused, refused+1)
	require.NoError(t, r.Close())
	tab.Closed()
	for _, l := range held {
		l.Release()
	}
}

// An unprivileged process registers a quarter of its limit and no more, so that rings still find room beside.
func TestLimit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	newRing(t).Close()
	var l unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l))
	for limit, want := range map[uint64]string{
		1 << 20:  "registered 0 refused 4 because leases are not all registered with the ring: 2097152 bytes more would exceed a quarter of RLIMIT_MEMLOCK",
		8 << 20:  "registered 2 refused 3",
		16 << 20: "registered 4 refused 2",
		64 << 20: "registered 8 refused 0",
	} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			if limit > l.Max {
				t.Skip("RLIMIT_MEMLOCK cannot be raised above ", l.Max)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestLimitChild$", "-test.v", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), childEnv+"=1", fmt.Sprintf("%s=memlock=%d", denytest.Env, limit))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			require.Contains(t, string(out), want)
		})
	}
}

func TestPrivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestPrivilegedChild$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"=1", denytest.Env+"=memlock=65536")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "privileged false")
}

func TestPrivilegedChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("this is the child of another test")
	}
	fmt.Println("privileged", privileged())
	require.NoError(t, budget.take(16384))
	budget.giveBack(16384)
	require.Error(t, budget.take(16385))
}
