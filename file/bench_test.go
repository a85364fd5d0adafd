//go:build linux

package file

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// The benchmarks compare ways of reading one file at random, in turns of sliceTime within one run, and report ratios: what a
// machine does at the moment falls on all alike. An iteration is one turn of each:
//
//	go test -run '^$' -bench Reads -benchtime 5x ./file -data /a/disk/data
//
// The file is made if it is not there: on a disk, not in memory. The limit is a C program (testdata/reader.c) and needs
// cc and liburing.
var (
	dataFile  = flag.String("data", "", "the file that benchmarks read; default: a temporary one")
	dataBytes = flag.Int64("data.bytes", 1<<30, "its size")
	sliceTime = flag.Duration("slice", 500*time.Millisecond, "how long a contestant's turn is")
)

const block = 4096

// lend is where a contestant has its memory from.
type lend func(n int) (buffers.Lease, error)

// A contestant reads blocks until stop is set, and counts them.
type contestant struct {
	name string
	run  func(stop *atomic.Bool, reads *atomic.Int64)
	// turn replaces run where the contestant is another process: it returns reads, seconds and µs of CPU.
	turn func() (float64, float64, float64)
	sum  struct{ reads, seconds, cpu float64 }
}

func (c *contestant) once() {
	if c.turn != nil {
		n, s, us := c.turn()
		c.sum.reads, c.sum.seconds, c.sum.cpu = c.sum.reads+n, c.sum.seconds+s, c.sum.cpu+us
		return
	}
	var stop atomic.Bool
	var reads atomic.Int64
	done := make(chan struct{})
	began, cpu := time.Now(), cpuTime()
	go func() {
		c.run(&stop, &reads)
		close(done)
	}()
	time.Sleep(*sliceTime)
	stop.Store(true)
	<-done
	c.sum.reads += float64(reads.Load())
	c.sum.seconds += time.Since(began).Seconds()
	c.sum.cpu += cpuTime() - cpu
}

// cpuTime is what the process has used, in µs.
func cpuTime() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

// raceThem runs the contestants in turns, and reports all but the first in proportion to it.
func raceThem(b *testing.B, cs ...*contestant) {
	for range b.N {
		for _, c := range cs {
			c.once()
		}
	}
	b.ReportMetric(0, "ns/op")
	first := &cs[0].sum
	for _, c := range cs {
		s := &c.sum
		if s.reads == 0 {
			continue
		}
		b.Logf("%-16s %8.0f reads/s (%.2f)  %6.2f µs CPU per read (%.2f)", c.name, s.reads/s.seconds,
			s.reads/s.seconds/(first.reads/first.seconds), s.cpu/s.reads, s.cpu/s.reads/(first.cpu/first.reads))
		if c != cs[0] {
			b.ReportMetric(s.reads/s.seconds/(first.reads/first.seconds), strings.ReplaceAll(c.name, " ", "-")+"-rate")
			b.ReportMetric(s.cpu/s.reads/(first.cpu/first.reads), strings.ReplaceAll(c.name, " ", "-")+"-cpu")
		}
	}
}

// data returns the file to read.
func data(b *testing.B) string {
	name := *dataFile
	if name == "" {
		name = filepath.Join(b.TempDir(), "data")
	}
	if st, err := os.Stat(name); err == nil && st.Size() >= *dataBytes {
		return name
	}
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{1})
	for at := int64(0); at < *dataBytes; at += int64(len(p)) {
		_, _ = r.Read(p)
		if _, err := f.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return name
}

// reader is a loop of random reads with n goroutines, or coroutines of e.
func reader(b *testing.B, f io.ReaderAt, n, block int, e *proactor.Engine, lease lend) func(*atomic.Bool, *atomic.Int64) {
	return func(stop *atomic.Bool, reads *atomic.Int64) {
		var all sync.WaitGroup
		for g := range n {
			all.Add(1)
			body := func() {
				defer all.Done()
				l, err := lease(block)
				if err != nil {
					b.Error(err)
					return
				}
				defer l.Release()
				r := rand.New(rand.NewPCG(uint64(g), rand.Uint64()))
				mine := int64(0)
				defer func() { reads.Add(mine) }()
				for ; !stop.Load(); mine++ {
					if n, err := f.ReadAt(l.Bytes(), r.Int64N(*dataBytes/int64(block))*int64(block)); n != block {
						b.Error(n, err)
						return
					}
				}
			}
			if e == nil {
				go body()
			} else if err := e.Executor().Go(body); err != nil {
				b.Error(err)
				all.Done()
			}
		}
		all.Wait()
	}
}

// batches is a loop of ReadBatch.
func batches(b *testing.B, f *File, n, block int, lease lend) func(*atomic.Bool, *atomic.Int64) {
	return func(stop *atomic.Bool, reads *atomic.Int64) {
		ios := make([]IO, n)
		ls := make([]buffers.Lease, n)
		for i := range ios {
			var err error
			if ls[i], err = lease(block); err != nil {
				b.Error(err)
				return
			}
			ios[i].P = ls[i].Bytes()
		}
		r := rand.New(rand.NewPCG(1, rand.Uint64()))
		for ; !stop.Load(); reads.Add(int64(n)) {
			for i := range ios {
				ios[i].Off = r.Int64N(*dataBytes/int64(block)) * int64(block)
			}
			if err := f.ReadBatch(ios); err != nil {
				b.Error(err)
				return
			}
		}
		for _, l := range ls {
			l.Release()
		}
	}
}

// limit is the C program; nil where it cannot be had.
func limit(b *testing.B, name string, depth int, direct bool) *contestant {
	program := filepath.Join(b.TempDir(), "reader")
	if out, err := exec.Command("cc", "-O2", "-o", program, "testdata/reader.c", "-luring").CombinedOutput(); err != nil {
		b.Logf("no limit to compare with: %v\n%s", err, out)
		return &contestant{name: "c", turn: func() (float64, float64, float64) { return 0, 1, 1 }}
	}
	flag := "0"
	if direct {
		flag = "1"
	}
	return &contestant{name: "c", turn: func() (reads, seconds, cpu float64) {
		out, err := exec.Command(program, name, fmt.Sprint(*dataBytes), fmt.Sprint(block), fmt.Sprint(depth),
			fmt.Sprint(sliceTime.Seconds()), flag).Output()
		if err == nil {
			_, err = fmt.Sscan(string(out), &reads, &seconds, &cpu)
		}
		if err != nil {
			b.Error(err)
		}
		return reads, seconds, cpu
	}}
}

func benchPlace(b *testing.B, workers int) (*Files, *proactor.Engine) {
	e, err := proactor.New(proactor.Config{Workers: workers})
	if err != nil {
		b.Fatal(err)
	}
	fs, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hangs)
		defer cancel()
		_ = fs.Close(ctx)
		_ = e.Shutdown(ctx)
	})
	return fs, e
}

func benchReads(b *testing.B, flag, depth int) {
	name := data(b)
	fs, e := benchPlace(b, 1)
	std, err := os.OpenFile(name, os.O_RDONLY|flag, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer std.Close()
	f, err := fs.OpenFile(name, os.O_RDONLY|flag, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if flag == 0 { // into the page cache
		if _, err := io.Copy(io.Discard, std); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	raceThem(b,
		&contestant{name: "os", run: reader(b, std, depth, block, nil, plainPool(b).Get)},
		&contestant{name: "goroutines", run: reader(b, f, depth, block, nil, fs.Lease)},
		&contestant{name: "coroutines", run: reader(b, f, depth, block, e, fs.Lease)},
		&contestant{name: "batch", run: batches(b, f, max(depth, 2), block, fs.Lease)},
		limit(b, name, depth, flag != 0),
	)
	b.Logf("%+v", fs.Stats())
}

// plainPool lends memory that no ring registers, in ordinary pages.
func plainPool(b *testing.B) *buffers.Pool {
	p, err := buffers.NewPool(buffers.PoolConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	})
	return p
}

// BenchmarkFixed compares O_DIRECT reads into leases that rings have registered with those into ordinary memory.
func BenchmarkFixed(b *testing.B) {
	for _, block := range []int{4096, 64 << 10} {
		for _, depth := range []int{1, 32, 128} {
			b.Run(fmt.Sprintf("%d/%d", block, depth), func(b *testing.B) {
				name := data(b)
				fs, e := benchPlace(b, 1)
				f, err := fs.OpenFile(name, os.O_RDONLY|DirectIO, 0)
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				plain := plainPool(b).Get
				raceThem(b,
					&contestant{name: "goroutines plain", run: reader(b, f, depth, block, nil, plain)},
					&contestant{name: "goroutines", run: reader(b, f, depth, block, nil, fs.Lease)},
					&contestant{name: "coroutines plain", run: reader(b, f, depth, block, e, plain)},
					&contestant{name: "coroutines", run: reader(b, f, depth, block, e, fs.Lease)},
					&contestant{name: "batch plain", run: batches(b, f, max(depth, 2), block, plain)},
					&contestant{name: "batch", run: batches(b, f, max(depth, 2), block, fs.Lease)},
				)
				b.Logf("%+v %+v", fs.Stats(), e.Stats().Backend)
			})
		}
	}
}

func BenchmarkReadsDirect(b *testing.B) {
	for _, depth := range []int{1, 32, 128} {
		b.Run(fmt.Sprint(depth), func(b *testing.B) { benchReads(b, DirectIO, depth) })
	}
}

func BenchmarkReadsCached(b *testing.B) {
	for _, depth := range []int{1, 32, 128} {
		b.Run(fmt.Sprint(depth), func(b *testing.B) { benchReads(b, 0, depth) })
	}
}

// BenchmarkBatchCached compares one goroutine's ReadBatch of 32 with its reading them one after the other, from the page cache.
func BenchmarkBatchCached(b *testing.B) {
	name := data(b)
	fs, _ := benchPlace(b, 1)
	std, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer std.Close()
	f, err := fs.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(io.Discard, std); err != nil {
		b.Fatal(err)
	}
	raceThem(b,
		&contestant{name: "os", run: reader(b, std, 1, block, nil, plainPool(b).Get)},
		&contestant{name: "batch plain", run: batches(b, f, 32, block, plainPool(b).Get)},
		&contestant{name: "batch", run: batches(b, f, 32, block, fs.Lease)},
		limit(b, name, 32, false),
	)
}
