package protocol

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// A file to be read holds, at every offset that is a multiple of 8, FileWord of that offset in little endian order.

// FileWord is the word at offset off.
func FileWord(off int64) uint64 { return uint64(off) * 0x9e3779b97f4a7c15 }

// WriteFile writes n bytes, a multiple of 8, to w.
func WriteFile(w io.Writer, n int64) error {
	buf := make([]byte, 0, 1<<20)
	for off := int64(0); off < n; {
		for buf = buf[:0]; len(buf) < cap(buf) && off < n; off += 8 {
			buf = binary.LittleEndian.AppendUint64(buf, FileWord(off))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

// CheckBlock reports what is wrong with b, read at off: its first and last word are compared.
func CheckBlock(b []byte, off int64) error {
	for _, at := range []int{0, len(b) - 8} {
		if got, want := binary.LittleEndian.Uint64(b[at:]), FileWord(off+int64(at)); got != want {
			return fmt.Errorf("offset %d holds %#x in place of %#x", off+int64(at), got, want)
		}
	}
	return nil
}

// FileArgs are the arguments of File.
type FileArgs struct {
	// Path is the file, of Blocks blocks of Size bytes.
	Path         string
	Size, Blocks int
	// Depth is how many reads are in flight.
	Depth int
	// Random reads blocks in random order; otherwise one after the other, each reader its own stretch.
	Random bool
	// Direct goes past the page cache (O_DIRECT).
	Direct         bool
	Warmup, Window time.Duration
}

// FileArgsOf reads them: path, size, depth, random, direct, warmup and window in milliseconds.
func FileArgsOf(a Args) (FileArgs, error) {
	f := FileArgs{Path: a["path"], Random: a["random"] == "1", Direct: a["direct"] == "1"}
	var ms [2]int
	for key, to := range map[string]*int{"size": &f.Size, "depth": &f.Depth, "warmup": &ms[0], "window": &ms[1]} {
		var err error
		if *to, err = a.Int(key); err != nil {
			return f, err
		}
	}
	f.Warmup, f.Window = time.Duration(ms[0])*time.Millisecond, time.Duration(ms[1])*time.Millisecond
	if f.Size < 8 || f.Depth < 1 || f.Window <= 0 {
		return f, fmt.Errorf("size=%d depth=%d window=%v: give at least 8 bytes, 1 reader and 1 ms", f.Size, f.Depth, f.Window)
	}
	st, err := os.Stat(f.Path)
	if err != nil {
		return f, err
	}
	f.Blocks = int(st.Size() / int64(f.Size))
	if f.Blocks < f.Depth {
		return f, fmt.Errorf("%s has %d blocks for %d readers", f.Path, f.Blocks, f.Depth)
	}
	return f, nil
}

// Flags are those to open the file with.
func (f FileArgs) Flags() int {
	if f.Direct {
		return os.O_RDONLY | syscall.O_DIRECT
	}
	return os.O_RDONLY
}

// Order returns the function that reader i takes its offsets from.
func (f FileArgs) Order(i int) func() int64 {
	if f.Random {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		return func() int64 { return int64(r.IntN(f.Blocks)) * int64(f.Size) }
	}
	stretch := f.Blocks / f.Depth
	n := 0
	return func() int64 {
		at := i*stretch + n%stretch
		n++
		return int64(at) * int64(f.Size)
	}
}

// ReadFile is the job File for readers that block: each of Depth goroutines calls its own read, which open returns.
func ReadFile(a Args, open func(*os.File) func(p []byte, off int64) (int, error)) (Result, error) {
	fa, err := FileArgsOf(a)
	if err != nil {
		return Result{}, err
	}
	f, err := os.OpenFile(fa.Path, fa.Flags(), 0)
	if err != nil {
		return Result{}, err
	}
	defer f.Close()
	r, err := Measure(fa.Depth, fa.Warmup, fa.Window, func(f func()) error { go f(); return nil }, func(m *Meter, t *Tally, i int) error {
		return fa.Loop(m, t, i, open(f))
	})
	r.Bytes = r.Requests * uint64(fa.Size)
	return r, err
}

// Loop reads and checks blocks until the meter says to stop.
func (f FileArgs) Loop(m *Meter, t *Tally, i int, read func(p []byte, off int64) (int, error)) error {
	b, next := AlignedBlock(f.Size), f.Order(i)
	for {
		off, start := next(), m.Now()
		n, err := read(b, off)
		if err != nil {
			return err
		}
		if n < len(b) {
			return fmt.Errorf("offset %d: %d bytes of %d: %w", off, n, len(b), io.ErrUnexpectedEOF)
		}
		if err := CheckBlock(b, off); err != nil {
			return err
		}
		if !m.Done(t, start) {
			return nil
		}
	}
}
