//go:build linux

package file

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// registered is how many operations used registered memory, wherever p runs.
func (p place) registered() uint64 { return p.Stats().Registered }

// What is written from leases and read into them is the same as with other memory, in part or as a whole, by all faces; on a
// ring it is registered.
func TestRegisteredLeases(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		const size = 1 << 20
		f := p.openDirect(t, temp(t, nil), os.O_RDWR)
		defer f.Close()
		before := p.registered()
		want := pattern(0, size)
		for at := 0; at < size; at += 128 << 10 {
			l, err := p.Lease(128 << 10)
			require.NoError(t, err)
			copy(l.Bytes(), want[at:])
			n, err := f.WriteAtLease(l, int64(at))
			require.NoError(t, err)
			require.Equal(t, 128<<10, n)
		}
		var ios []IO
		var held []buffers.Lease
		for i := range 64 {
			l, err := p.Lease(8192)
			require.NoError(t, err)
			held = append(held, l)
			ios = append(ios, IO{P: l.Bytes()[4096:], Off: int64(i * 4096)}) // a part, and not its beginning
		}
		require.NoError(t, f.ReadBatch(ios))
		for i := range ios {
			require.Equal(t, want[i*4096:][:4096], ios[i].P)
			held[i].Release()
		}
		l, err := f.ReadAtLease(size, 0)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, l.Bytes()))
		l.Release()
		require.Zero(t, p.engine.Stats().Leases.Out)
		require.Positive(t, p.engine.Stats().Leases.Lent, "leases are the engine's")
		if p.engine.Info().Backend == proactor.IOUring {
			require.GreaterOrEqual(t, p.registered()-before, uint64(64))
			require.Empty(t, p.Info().Fixed)
		} else {
			require.Zero(t, p.registered())
		}
	})
}

// When all registered memory is lent, leases are others, and reads go on; then there is none, and the error says so.
func TestRegisteredLeasesRunOut(t *testing.T) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			if b == proactor.IOUring {
				needRing(t)
			}
			fs, err := New(Config{Backend: b, FixedBytes: 2 << 20, LeaseBytes: 1 << 20})
			require.NoError(t, err)
			f := place{Files: fs}.openDirect(t, temp(t, pattern(0, 1<<20)), os.O_RDONLY)
			var held []buffers.Lease
			for {
				l, err := fs.Lease(256 << 10)
				if err != nil {
					require.ErrorIs(t, err, buffers.ErrExhausted)
					break
				}
				held = append(held, l)
			}
			require.Len(t, held, 12)
			require.Equal(t, []int{2 << 20, 1 << 20}, []int{fs.Stats().Fixed.OutBytes, fs.Stats().Leases.OutBytes})
			_, err = f.ReadAtLease(4096, 0)
			require.ErrorIs(t, err, buffers.ErrExhausted)
			ios := make([]IO, len(held))
			for i, l := range held {
				ios[i] = IO{P: l.Bytes(), Off: int64(i%4) * 256 << 10}
			}
			require.NoError(t, f.ReadBatch(ios))
			for i := range ios {
				require.True(t, bytes.Equal(pattern(int(ios[i].Off), 256<<10), ios[i].P))
			}
			held[0].Release()
			held[0], err = f.ReadAtLease(256<<10, 0)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			for _, l := range held {
				l.Release()
			}
			ctx, cancel := context.WithTimeout(context.Background(), hangs)
			defer cancel()
			require.NoError(t, fs.Close(ctx))
		})
	}
}

// Leases outlive the Files that they are from, whose Close tells of them; and what is read into them.
func TestLeaseOutlivesFiles(t *testing.T) {
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		t.Run(b.String(), func(t *testing.T) {
			if b == proactor.IOUring {
				needRing(t)
			}
			fs, err := New(Config{Backend: b})
			require.NoError(t, err)
			f := place{Files: fs}.openDirect(t, temp(t, pattern(0, 64<<10)), os.O_RDONLY)
			l, err := f.ReadAtLease(64<<10, 0)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(context.Background(), hangs)
			defer cancel()
			require.ErrorIs(t, fs.Close(ctx), buffers.ErrInUse)
			require.True(t, bytes.Equal(pattern(0, 64<<10), l.Bytes()))
			n, err := f.ReadAt(l.Bytes()[:4096], 4096) // by an ordinary system call now
			require.NoError(t, err)
			require.Equal(t, pattern(4096, 4096), l.Bytes()[:n])
			require.NoError(t, f.Close())
			l.Release()
			require.Zero(t, fs.Stats().Fixed.Out)
			require.Zero(t, fs.Stats().Fixed.MappedBytes)
		})
	}
}

// Contexts end reads into leases at any moment: a lease that is released, lent again and filled by its new holder is not
// written to by the read that was given up.
func TestRegisteredLeasesAndCancel(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		const blocks = 256
		f := p.openDirect(t, temp(t, pattern(0, blocks*4096)), os.O_RDONLY)
		var all sync.WaitGroup
		for g := range 16 {
			all.Add(1)
			p.goes(func() {
				defer all.Done()
				r := rand.New(rand.NewPCG(uint64(g), 3))
				for range 40 {
					ctx, cancel := context.WithCancel(context.Background())
					stop := time.AfterFunc(time.Duration(r.IntN(300))*time.Microsecond, cancel)
					at := r.IntN(blocks)
					l, err := f.ReadAtLeaseContext(ctx, 4096, int64(at)*4096)
					if !(err == nil && string(l.Bytes()) == string(pattern(at*4096, 4096)) || errors.Is(err, context.Canceled) && !l.Valid()) {
						t.Errorf("%d bytes, %v", l.Len(), err)
					}
					l.Release()
					m, err := p.Lease(4096)
					if err != nil {
						t.Error(err)
						return
					}
					mine := bytes.Repeat([]byte{byte(g)}, 4096)
					copy(m.Bytes(), mine)
					if executor.Current() == nil {
						time.Sleep(50 * time.Microsecond)
					} else {
						executor.Yield()
					}
					if !bytes.Equal(m.Bytes(), mine) {
						t.Error("a read that had ended wrote into memory that was lent again")
					}
					m.Release()
					stop.Stop()
					cancel()
				}
			})
		}
		waitFor(&all)
		require.NoError(t, f.Close())
		require.Zero(t, p.engine.Stats().Leases.Out)
	})
}

// Close while leases are read into: the memory and the descriptor go only after the last read.
func TestCloseWithRegisteredReads(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		name := temp(t, pattern(0, 256<<10))
		for range 10 {
			f := p.openDirect(t, name, os.O_RDONLY)
			var all sync.WaitGroup
			for g := range 16 {
				all.Add(1)
				p.goes(func() {
					defer all.Done()
					for {
						l, err := f.ReadAtLease(16<<10, int64(g)*16<<10)
						if errors.Is(err, os.ErrClosed) {
							return
						}
						if err != nil || !bytes.Equal(l.Bytes(), pattern(g*16<<10, 16<<10)) {
							t.Errorf("%d bytes, %v", l.Len(), err)
							return
						}
						l.Release()
					}
				})
			}
			require.NoError(t, f.Close())
			waitFor(&all)
		}
		require.Zero(t, p.engine.Stats().Leases.Out)
	})
}

func TestFixedBytesIsChecked(t *testing.T) {
	e, err := proactor.New(proactor.Config{Workers: 1, FixedBytes: -1})
	require.NoError(t, err)
	_, err = e.Lease(4096)
	require.ErrorIs(t, err, buffers.ErrExhausted)
	_, err = New(Config{Engine: e, FixedBytes: 1 << 20})
	require.ErrorContains(t, err, "FixedBytes")
	fs, err := New(Config{Engine: e})
	require.NoError(t, err)
	l, err := fs.Lease(4096)
	require.NoError(t, err)
	require.Equal(t, 1, fs.Stats().Leases.Out)
	l.Release()
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	require.NoError(t, fs.Close(ctx))
	require.NoError(t, e.Shutdown(ctx))
	_, err = New(Config{FixedBytes: math.MaxInt})
	require.ErrorContains(t, err, "file: Config.FixedBytes")
	_, err = proactor.New(proactor.Config{FixedBytes: math.MaxInt})
	require.ErrorContains(t, err, "FixedBytes")
}
