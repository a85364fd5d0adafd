//go:build linux

package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// openDirect opens name with O_DIRECT, or skips where the file system has none.
func (p place) openDirect(t testing.TB, name string, flag int) *File {
	f, err := p.OpenFile(name, flag|DirectIO, 0o600)
	if errors.Is(err, fs.ErrInvalid) || err != nil && errors.Is(err, errInvalid) {
		t.Skip("the file system has no O_DIRECT: ", err)
	}
	require.NoError(t, err)
	return f
}

// Many at once, all of which wait: each gets its own bytes.
func TestDirectReadsAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		const blocks = 256
		f := p.openDirect(t, temp(t, pattern(0, blocks*4096)), os.O_RDONLY)
		var all sync.WaitGroup
		for g := range 64 {
			all.Add(1)
			p.goes(func() {
				defer all.Done()
				r := rand.New(rand.NewPCG(uint64(g), 1))
				l, err := p.Lease(4096)
				if err != nil {
					t.Error(err)
					return
				}
				defer l.Release()
				for range 20 {
					b := r.IntN(blocks)
					n, err := f.ReadAt(l.Bytes(), int64(b)*4096)
					if n != 4096 || err != nil || string(pattern(b*4096, 4096)) != string(l.Bytes()) {
						t.Errorf("block %d: %d bytes, %v", b, n, err)
						return
					}
				}
			})
		}
		waitFor(&all)
		s := p.Stats()
		require.EqualValues(t, 64*20, s.Plain+s.Engine)
		require.Zero(t, s.Cached, "O_DIRECT must leave the page cache alone")
		if p.coroutine || p.Info().Backend == proactor.IOUring {
			require.NotZero(t, s.Engine)
		}
		require.NoError(t, f.Close())
	})
}

// waitFor waits on a goroutine of its own, so that a coroutine may call it.
func waitFor(all *sync.WaitGroup) { await(all.Wait) }

func TestDirectWritesAndEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		name := filepath.Join(t.TempDir(), "file")
		f := p.openDirect(t, name, os.O_RDWR|os.O_CREATE)
		l, err := p.Lease(8192)
		require.NoError(t, err)
		copy(l.Bytes(), pattern(0, 8192))
		n, err := f.WriteAtLease(l, 0)
		require.NoError(t, err)
		require.Equal(t, 8192, n)
		require.NoError(t, f.Datasync())
		require.NoError(t, f.Truncate(5000))
		l, err = f.ReadAtLease(8192, 0)
		require.Equal(t, io.EOF, err)
		require.Equal(t, pattern(0, 5000), l.Bytes())
		l.Release()
		l, err = f.ReadAtLease(4096, 8192)
		require.Equal(t, io.EOF, err)
		require.False(t, l.Valid())
		// Memory that is not aligned is refused by the kernel, unless the file system lives in memory, and the error is os's.
		std, err := os.OpenFile(name, os.O_RDONLY|DirectIO, 0)
		require.NoError(t, err)
		_, want := std.ReadAt(make([]byte, 8193)[1:], 0)
		require.NoError(t, std.Close())
		_, err = f.ReadAt(make([]byte, 8193)[1:], 0)
		require.Equal(t, want, err)
		require.NoError(t, f.Close())
	})
}

func TestPageCacheFirst(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		f, err := p.Open(temp(t, pattern(0, 1<<20)))
		require.NoError(t, err)
		buf := make([]byte, 4096)
		for range 100 {
			_, err := f.ReadAt(buf, 8192)
			require.NoError(t, err)
		}
		s := p.Stats()
		if s.Cached == 0 {
			t.Skip("the file system does not know RWF_NOWAIT")
		}
		require.EqualValues(t, 100, s.Cached+s.Plain, "just written, so in memory: %+v", s)
		require.GreaterOrEqual(t, s.Cached, uint64(hintHot))
		require.Zero(t, s.Engine)
		require.NoError(t, f.Close())
	})
}

func TestBatch(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		const blocks = 300
		f := p.openDirect(t, temp(t, pattern(0, blocks*4096+100)), os.O_RDWR)
		var ios []IO
		var ls []buffers.Lease
		for i := range blocks {
			l, err := p.Lease(4096)
			require.NoError(t, err)
			ls = append(ls, l)
			ios = append(ios, IO{P: l.Bytes(), Off: int64((i * 7 % blocks) * 4096)})
		}
		require.NoError(t, f.ReadBatch(ios))
		for i, b := range ios {
			require.Equal(t, 4096, b.N)
			require.Equal(t, pattern((i*7%blocks)*4096, 4096), b.P)
		}
		s := p.Stats()
		require.EqualValues(t, 1, s.Batches)
		require.EqualValues(t, blocks, s.Engine)
		// Errors stand where they belong, and the first is returned.
		ios = ios[:4]
		ios[0].Off, ios[1].Off, ios[2].Off, ios[3].Off = 0, blocks*4096, -1, 1<<30
		require.Equal(t, io.EOF, f.ReadBatch(ios))
		require.Equal(t, []int{4096, 100, 0, 0}, []int{ios[0].N, ios[1].N, ios[2].N, ios[3].N})
		require.NoError(t, ios[0].Err)
		require.Equal(t, io.EOF, ios[1].Err)
		require.ErrorContains(t, ios[2].Err, "negative offset")
		require.Equal(t, io.EOF, ios[3].Err)
		for i := range ios {
			ios[i].Off = int64(i * 4096)
			copy(ios[i].P, pattern(i, 4096))
		}
		require.NoError(t, f.WriteBatch(ios))
		got, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		for i := range ios {
			require.Equal(t, pattern(i, 4096), got[i*4096:(i+1)*4096])
		}
		for _, l := range ls {
			l.Release()
		}
		require.NoError(t, f.Close())
	})
}

func TestBatchFromCache(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		f, err := p.Open(temp(t, pattern(0, 1<<20)))
		require.NoError(t, err)
		ios := make([]IO, 50)
		for i := range ios {
			ios[i] = IO{P: make([]byte, 1000), Off: int64(i * 20_971)} // the last goes over the end
		}
		require.Equal(t, io.EOF, f.ReadBatch(append(ios, IO{P: make([]byte, 10), Off: 1<<20 - 3})))
		for i, b := range ios {
			require.NoError(t, b.Err)
			require.Equal(t, pattern(i*20_971, 1000), b.P)
		}
		require.NoError(t, f.Close())
		require.ErrorIs(t, f.ReadBatch(ios), os.ErrClosed)
		for _, b := range ios {
			require.Zero(t, b.N, "left from the call before")
			require.ErrorIs(t, b.Err, os.ErrClosed)
		}
	})
}

// A batch that is refused as a whole says so of each, also where the one before went well.
func TestBatchOfAppends(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		f, err := p.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		require.NoError(t, err)
		ios := []IO{{P: []byte("a"), N: 1}, {P: []byte("b"), N: 1}}
		require.ErrorIs(t, f.WriteBatch(ios), errAppend)
		for _, b := range ios {
			require.Zero(t, b.N)
			require.ErrorIs(t, b.Err, errAppend)
		}
		require.NoError(t, f.Close())
	})
}

func TestVectors(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		f, err := p.Create(filepath.Join(t.TempDir(), "file"))
		require.NoError(t, err)
		want := pattern(0, 100_000)
		var ps [][]byte
		for at := 0; at < len(want); at += 50 {
			ps = append(ps, want[at:at+50], nil) // more than one system call takes
		}
		n, err := f.WritevAt(ps, 10)
		require.NoError(t, err)
		require.EqualValues(t, len(want), n)
		a, b, c := make([]byte, 60_000), make([]byte, 1), make([]byte, 50_000)
		n, err = f.ReadvAt([][]byte{a, b, c}, 10)
		require.Equal(t, io.EOF, err)
		require.EqualValues(t, len(want), n)
		require.Equal(t, want, append(append(a, b...), c[:39_999]...))
		_, err = f.ReadvAt([][]byte{a}, -1)
		require.ErrorContains(t, err, "negative offset")
		require.NoError(t, f.Close())
	})
}

// The file's own position moves once per transfer, whoever makes it.
func TestPositionIsShared(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		f, err := p.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		var all sync.WaitGroup
		for g := range 16 {
			all.Add(1)
			p.goes(func() {
				defer all.Done()
				for range 50 {
					if n, err := f.Write([]byte{byte(g), byte(g), byte(g), byte(g)}); n != 4 || err != nil {
						t.Errorf("%d bytes, %v", n, err)
					}
				}
			})
		}
		waitFor(&all)
		_, err = f.Seek(0, io.SeekStart)
		require.NoError(t, err)
		counts := map[byte]int{}
		var mu sync.Mutex
		for range 16 {
			all.Add(1)
			p.goes(func() {
				defer all.Done()
				for {
					var b [4]byte
					n, err := f.Read(b[:])
					if err == io.EOF {
						return
					}
					if n != 4 || err != nil || b[0] != b[3] {
						t.Errorf("%d bytes %v, %v", n, b, err)
						return
					}
					mu.Lock()
					counts[b[0]]++
					mu.Unlock()
				}
			})
		}
		waitFor(&all)
		require.Len(t, counts, 16)
		for g, n := range counts {
			require.Equal(t, 50, n, "writer %d", g)
		}
		require.NoError(t, f.Close())
	})
}

func TestContextThatHasEnded(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		f := p.openDirect(t, temp(t, pattern(0, 1<<20)), os.O_RDWR)
		cached, err := p.OpenFile(temp(t, pattern(0, 100)), os.O_RDWR, 0)
		require.NoError(t, err)
		defer cached.Close()
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(why)
		l, err := p.Lease(4096)
		require.NoError(t, err)
		defer l.Release()
		var pe *fs.PathError
		for name, use := range map[string]func() error{
			"read":      func() error { _, err := f.ReadContext(ctx, l.Bytes()); return err },
			"read at":   func() error { _, err := f.ReadAtContext(ctx, l.Bytes(), 0); return err },
			"write":     func() error { _, err := f.WriteContext(ctx, l.Bytes()); return err },
			"write at":  func() error { _, err := f.WriteAtContext(ctx, l.Bytes(), 0); return err },
			"vectors":   func() error { _, err := f.ReadvAtContext(ctx, [][]byte{l.Bytes()}, 0); return err },
			"lease":     func() error { _, err := f.ReadAtLeaseContext(ctx, 4096, 0); return err },
			"sync":      func() error { return f.SyncContext(ctx) },
			"data sync": func() error { return f.DatasyncContext(ctx) },
			"batch":     func() error { return f.ReadBatchContext(ctx, []IO{{P: l.Bytes()}}) },
			"no bytes":  func() error { return f.WriteBatchContext(ctx, []IO{{}}) },
			"cached": func() error {
				return cached.ReadBatchContext(ctx, []IO{{P: make([]byte, 10)}, {P: make([]byte, 10), Off: 5}})
			},
			"written": func() error { return cached.WriteBatchContext(ctx, []IO{{P: make([]byte, 10)}}) },
		} {
			err := use()
			require.ErrorIs(t, err, why, name)
			require.ErrorAs(t, err, &pe, name)
		}
		s := p.Stats()
		require.Zero(t, s.Engine+s.Plain+s.Cached)
		require.NoError(t, f.Close())
	})
}

// Contexts end at any moment of reads that wait: each either succeeds or has the context's error, and in neither case does
// the memory change after the return.
func TestContextEndsMeanwhile(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		const blocks = 1024
		f := p.openDirect(t, temp(t, pattern(0, blocks*4096)), os.O_RDONLY)
		var all sync.WaitGroup
		for g := range 32 {
			all.Add(1)
			p.goes(func() {
				defer all.Done()
				r := rand.New(rand.NewPCG(uint64(g), 2))
				ls := make([]buffers.Lease, 8)
				ios := make([]IO, len(ls))
				for i := range ls {
					ls[i], _ = p.Lease(4096)
					defer ls[i].Release()
				}
				for range 20 {
					ctx, cancel := context.WithCancel(context.Background())
					stop := time.AfterFunc(time.Duration(r.IntN(400))*time.Microsecond, cancel)
					for i := range ios {
						clear(ls[i].Bytes())
						ios[i] = IO{P: ls[i].Bytes(), Off: int64(r.IntN(blocks)) * 4096}
					}
					err := f.ReadBatchContext(ctx, ios)
					for i := range ios {
						switch b := &ios[i]; {
						case b.Err == nil && string(b.P) == string(pattern(int(b.Off), 4096)):
						case errors.Is(b.Err, context.Canceled) && b.N == 0 && err != nil:
							copy(b.P, "mine again")
						default:
							t.Errorf("%d bytes, %v", b.N, b.Err)
						}
					}
					for i := range ios {
						if ios[i].Err != nil && string(ios[i].P[:10]) != "mine again" {
							t.Error("the memory was written to after the return")
						}
					}
					stop.Stop()
					cancel()
				}
			})
		}
		waitFor(&all)
		require.NoError(t, f.Close())
		require.Zero(t, p.Stats().Waiting)
	})
}

// Close while others read: they end well or with ErrClosed, and the descriptor goes only after the last.
func TestCloseMeanwhile(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		name := temp(t, pattern(0, 1<<20))
		for range 20 {
			f := p.openDirect(t, name, os.O_RDONLY)
			var all sync.WaitGroup
			for g := range 16 {
				all.Add(1)
				p.goes(func() {
					defer all.Done()
					l, _ := p.Lease(4096)
					defer l.Release()
					for {
						n, err := f.ReadAt(l.Bytes(), int64(g)*4096)
						if errors.Is(err, os.ErrClosed) {
							return
						}
						if n != 4096 || err != nil || string(l.Bytes()) != string(pattern(g*4096, 4096)) {
							t.Errorf("%d bytes, %v", n, err)
							return
						}
					}
				})
			}
			require.NoError(t, f.Close())
			waitFor(&all)
			require.Error(t, f.std.Close(), "the last user closes it")
		}
	})
}

// A write at the position that the system cuts short, as on a full disk, says so, and what it has written stays: io_uring does
// not move the position then.
func TestWriteCutShort(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	const most = 1 << 20
	everywhere(t, func(t *testing.T, p place) {
		f, err := p.Create(filepath.Join(t.TempDir(), "file"))
		require.NoError(t, err)
		var was unix.Rlimit
		require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &was))
		limit := was
		limit.Cur = most
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
		n, err := f.Write(pattern(0, 2*most))
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &was))
		require.ErrorIs(t, err, syscall.EFBIG)
		require.Equal(t, most, n)
		at, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, most, at)
		got, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		require.True(t, string(pattern(0, most)) == string(got), "the file has %d bytes, or others", len(got))
		require.NoError(t, f.Close())
	})
}
