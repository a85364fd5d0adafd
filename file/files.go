//go:build linux

package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// Files opens files whose operations go through one engine, and has the policy that decides how each goes. All methods
// are safe from any goroutine or coroutine. The package's functions use one that the process shares.
type Files struct {
	config Config
	leases *buffers.Pool
	slots  chan struct{} // ordinary system calls at a time where there is no ring

	once   sync.Once
	engine *proactor.Engine // set by once; nil when it could not be started
	reason error            // why not
	ring   bool             // engine is on io_uring
	begun  atomic.Bool      // engine is set
	closed atomic.Bool
	rings  batchRings

	waiting atomic.Int32 // operations that wait for a disk now
	stats   counters
}

type counters struct {
	cached, plain           spread
	missed, engine, batches atomic.Uint64
}

// New returns a Files of its own. It fails when a value of c is out of its limits, or when the Backend asked for by
// name cannot be had. Close ends it.
func New(c Config) (*Files, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	pool, err := buffers.NewPool(buffers.PoolConfig{MaxBytes: c.LeaseBytes})
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	fs := &Files{config: c, leases: pool, slots: make(chan struct{}, c.Threads)}
	fs.rings.limit = uint32(c.Threads)
	if c.Engine != nil || c.Backend != proactor.Auto {
		if fs.start(); fs.reason != nil {
			return nil, errors.Join(fs.reason, pool.Close())
		}
	}
	return fs, nil
}

// defaultFiles is what the package's functions use. It is never closed.
var defaultFiles = sync.OnceValue(func() *Files {
	fs, err := New(Config{})
	if err != nil {
		panic("file: the zero Config must work: " + err.Error())
	}
	return fs
})

// Default returns the Files that the package's functions use.
func Default() *Files { return defaultFiles() }

// start starts the engine, once. An engine that cannot be had is no error of a file's: goroutines make ordinary system
// calls then.
func (fs *Files) start() {
	fs.once.Do(func() {
		if fs.engine = fs.config.Engine; fs.engine == nil {
			if fs.engine, fs.reason = fs.config.engine(); fs.reason != nil {
				return
			}
		}
		fs.ring = fs.engine.Info().Backend == proactor.IOUring
		fs.rings.pool = fs.engine.FixedPool()
		fs.begun.Store(true)
	})
}

// Info tells what operations that wait run on, as Engine.Info; it starts the engine.
func (fs *Files) Info() proactor.Info {
	fs.start()
	if fs.reason != nil {
		return proactor.Info{Backend: proactor.Epoll, Reason: fs.reason.Error()}
	}
	i := fs.engine.Info()
	if i.Fixed == "" {
		i.Fixed = fs.rings.fixedReason()
	}
	return i
}

// Close shuts the engine down that fs has started, after ctx by force, and reports leases that are still held. Files that
// are open go on with ordinary system calls.
func (fs *Files) Close(ctx context.Context) error {
	if fs.closed.Swap(true) {
		return os.ErrClosed
	}
	fs.once.Do(func() { fs.reason = os.ErrClosed })
	fs.rings.close()
	var err error
	if fs.engine != nil && fs.config.Engine == nil {
		err = fs.engine.Shutdown(ctx)
	}
	return errors.Join(err, fs.leases.Close())
}

// Lease lends n bytes, up to 1 MiB, aligned to 4 KiB if n is at least that, as O_DIRECT needs. They are of the memory that
// rings have registered (proactor.Engine.Lease) while there is some: on a coroutine of its engine, else of that of fs. It
// fails with an error that wraps buffers.ErrExhausted when Config.LeaseBytes are lent besides.
func (fs *Files) Lease(n int) (buffers.Lease, error) {
	if n >= fixedFrom && n <= maxFixed && !fs.closed.Load() {
		e := proactor.EngineOf(executor.Current())
		if e == nil {
			fs.start()
			e = fs.engine
		}
		if e != nil {
			if l, err := e.Lease(n); err == nil {
				return l, nil
			}
		}
	}
	return fs.leases.Get(n)
}

// What is smaller than fixedFrom bytes is no memory for a disk, and what is larger than maxFixed the engine does not lend.
const (
	fixedFrom = sector
	maxFixed  = 1 << 20
)

// Lease is Files.Lease of the default Files.
func Lease(n int) (buffers.Lease, error) { return Default().Lease(n) }

// Stats counts how reads and writes of disk files went. But for Waiting and Leases all values only grow.
type Stats struct {
	// Cached counts transfers that the page cache served in full in the calling goroutine, Missed the attempts that it
	// did not, Plain ordinary system calls by goroutines (nothing else waited, the page cache had everything before, or there
	// is no ring), Engine operations that were given to a ring (or the epoll
	// backend's goroutines), Batches the calls of ReadBatch and WriteBatch among them.
	Cached, Missed, Plain, Engine, Batches uint64
	// Registered counts the operations, of fs's engine and of batches, whose memory a ring had registered: leases.
	Registered uint64
	// Waiting is the number of operations that wait for a disk now.
	Waiting int
	// Leases is the state of the memory that Lease lends besides that of engines (proactor.Stats.Leases), Fixed that of
	// fs's engine, if that was started.
	Leases, Fixed buffers.PoolStats
}

// Stats returns the counters.
func (fs *Files) Stats() Stats {
	s := &fs.stats
	n, fixed := fs.rings.registered(), buffers.PoolStats{}
	if fs.begun.Load() {
		e := fs.engine.Stats()
		n, fixed = n+e.Backend.Fixed, e.Leases
	}
	return Stats{
		Registered: n, Fixed: fixed,
		Cached: s.cached.load(), Missed: s.missed.Load(), Plain: s.plain.load(), Engine: s.engine.Load(),
		Batches: s.batches.Load(), Waiting: int(fs.waiting.Load()), Leases: fs.leases.Stats(),
	}
}
