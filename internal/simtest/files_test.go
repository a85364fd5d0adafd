//go:build linux

package simtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/file"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/internal/simkernel"
	"github.com/ouro-io/ouro/proactor"
)

// A cabinet are the files of a world. Each is used by some programs at once. In one kind of file each has a part of its
// own, of which it knows every byte, the last one the end of the file too; in the other they share the position, whose model
// moves on in the order in which calls return: that is the order in which they took the file's lock, as a coroutine that
// gives it on returns before another runs.
type cabinet struct {
	w     *world
	fs    *file.Files
	files []*simFile
}

type simFile struct {
	*file.File
	w       *world
	id      int
	handle  simkernel.Handle
	direct  bool
	appends bool
	shared  bool // the position is
	closing bool
	open    int // programs that have not ended
	clerks  []*clerk
	model   []byte // of a shared one
	pos     int
	unknown bool // the backend broke in the middle of a write
}

// A clerk is a program that uses a file, on a coroutine or, step by step, on a goroutine.
type clerk struct {
	f     *simFile
	id    int
	low   int    // where its part begins
	high  int    // and where it must end; the last has room
	model []byte // of it
	last  bool
	steps int
	over  bool

	gate chan func()
	idle bool
}

// unit is what offsets and lengths with O_DIRECT are multiples of.
func (f *simFile) unit() int {
	if f.direct {
		return 512
	}
	return 1
}

// openFiles makes the files of the world, and starts the programs.
func (w *world) openFiles() {
	t := w.tape
	w.accepting = false
	fs, err := file.New(file.Config{Engine: w.engine})
	if err != nil {
		w.wrong("file.New: %v", err)
		return
	}
	w.files = &cabinet{w: w, fs: fs}
	for n := t.between(1, 3); n > 0; n-- {
		w.files.open()
	}
	for _, f := range w.files.files {
		for _, c := range f.clerks {
			c.start(!f.shared && t.Choose(3) == 2)
		}
	}
}

const partBytes = 4096

func (b *cabinet) open() {
	w, t := b.w, b.w.tape
	f := &simFile{w: w, id: len(b.files)}
	flags := pick(t, 0, unix.O_DIRECT)
	f.direct = flags != 0
	if f.shared = t.Choose(3) == 2; f.shared {
		flags = pick(t, 0, unix.O_APPEND)
		f.direct, f.appends = false, flags != 0
	}
	f.open = t.between(1, 3)
	content := pattern(f.id, up, 0, f.open*partBytes)
	f.model = append([]byte(nil), content...)
	for i := range f.open {
		c := &clerk{f: f, id: i, low: i * partBytes, high: (i + 1) * partBytes, last: i == f.open-1, steps: t.between(1, 10)}
		c.model = append([]byte(nil), content[c.low:c.high]...)
		if c.last {
			c.high += partBytes
		}
		f.clerks = append(f.clerks, c)
	}
	std, err := os.Open(os.DevNull)
	if err != nil {
		w.wrong("%v", err)
		return
	}
	fd := w.kernel.Create(content, flags)
	f.handle = w.kernel.Handle(fd)
	f.File = b.fs.Simulated(std, fd, settled{w.kernel, w}, flags)
	b.files = append(b.files, f)
}

// settled has coroutines wait, before they decide something, for goroutines that the worker has woken outside Poll: by a
// command, not by a completion.
type settled struct {
	*simkernel.Kernel
	w *world
}

func (s settled) Do(kind op.Kind, fd int, p []byte, off int64, nowait bool) (int, syscall.Errno) {
	s.w.settleFirst()
	return s.Kernel.Do(kind, fd, p, off, nowait)
}

func (w *world) settleFirst() {
	if w.actors > 0 && executor.Current() != nil {
		synctest.Wait()
	}
}

// start starts the program, on a goroutine or on a coroutine.
func (c *clerk) start(goroutine bool) {
	w := c.f.w
	if goroutine {
		w.actors++
		c.gate, c.idle = make(chan func()), true
		go func() {
			for f := range c.gate {
				f()
				c.idle = true
				if c.over {
					return
				}
			}
		}()
		w.kernel.Join(c)
		return
	}
	err := w.engine.Executor().Go(func() {
		for !c.over {
			w.settleFirst()
			if w.tape.rarely(4) {
				executor.Sleep(time.Duration(w.tape.Choose(10)) * time.Millisecond)
			}
			c.step(w.tape.Choose(fileDeeds), w.tape.Choose(1<<16))
		}
	})
	if err != nil {
		c.end()
	}
}

// Ready and Step make a clerk on a goroutine an agent.
func (c *clerk) Ready() bool {
	synctest.Wait()
	return c.idle && !c.over
}

func (c *clerk) Step() {
	c.idle = false
	deed, how := c.f.w.tape.Choose(fileDeeds), c.f.w.tape.Choose(1<<16)
	c.gate <- func() { c.step(deed, how) }
	synctest.Wait()
}

func (c *clerk) end() {
	c.over = true
	if c.f.open--; c.f.open == 0 && !c.f.closing {
		c.f.closing = true
		_ = c.f.Close()
	}
}

func (c *clerk) note(format string, args ...any) {
	c.f.w.note("file %d, program %d: "+format, append([]any{c.f.id, c.id}, args...)...)
}

func (c *clerk) wrong(format string, args ...any) {
	c.f.w.wrong("file %d, program %d: "+format, append([]any{c.f.id, c.id}, args...)...)
}

// A canceller ends a context after some steps of the world.
type canceller struct {
	after  int
	cancel func()
	over   bool
}

func (x *canceller) Ready() bool { return !x.over }

func (x *canceller) Step() {
	if x.after--; x.after <= 0 {
		x.over = true
		x.cancel()
		synctest.Wait()
	}
}

// context is one that ends soon, or never.
func (c *clerk) context() (context.Context, func()) {
	if !c.f.w.tape.rarely(3) {
		return context.Background(), func() {}
	}
	return c.f.w.context()
}

// context is one that ends soon, unless it is told that it need not.
func (w *world) context() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	x := &canceller{after: w.tape.between(1, 6), cancel: cancel}
	w.kernel.Join(x)
	return ctx, func() { x.over = true }
}

const fileDeeds = 11

// step does one thing; how decides the details.
func (c *clerk) step(deed, how int) {
	if c.steps--; c.steps < 0 {
		c.end()
		return
	}
	if c.f.direct && how%41 == 0 {
		c.misaligned()
		return
	}
	if c.f.shared {
		c.atPosition(deed, how)
		return
	}
	ctx, stop := c.context()
	defer stop()
	off, n := c.region(how)
	c.note("deed %d at %d, %d bytes", deed, off, n)
	switch deed {
	case 0, 1:
		p := c.memory(n)
		m, err := c.f.ReadAtContext(ctx, p, int64(off))
		c.read(ctx, p, off, m, err)
	case 2, 3:
		p := c.fresh(how, c.room(off, n))
		m, err := c.f.WriteAtContext(ctx, p, int64(off))
		c.wrote(ctx, p, off, m, err)
	case 4:
		p := c.memory(n)
		m, err := c.f.ReadvAtContext(ctx, c.cut(p, how), int64(off))
		c.read(ctx, p, off, int(m), err)
	case 5:
		p := c.fresh(how, c.room(off, n))
		m, err := c.f.WritevAtContext(ctx, c.cut(p, how), int64(off))
		c.wrote(ctx, p, off, int(m), err)
	case 6:
		ios := c.batch(how)
		err := c.f.ReadBatchContext(ctx, ios)
		c.ended(ctx, ios, err, c.read)
	case 7:
		ios := c.batch(how)
		for i := range ios {
			ios[i].P = c.fresh(how+i, c.room(int(ios[i].Off), len(ios[i].P)))
		}
		err := c.f.WriteBatchContext(ctx, ios)
		c.ended(ctx, ios, err, c.wrote)
	case 8:
		c.sync(ctx, how)
	case 9:
		c.lease(ctx, off, n)
	case 10:
		if how%8 == 0 && !c.f.closing {
			c.f.closing = true
			_ = c.f.Close()
		}
	}
}

// region is where a deed goes to: within the part, and for the last behind the file's end too.
func (c *clerk) region(how int) (off, n int) {
	u := c.f.unit()
	off = c.low + how%(c.high-c.low)/u*u
	n = max(u, how/7%1500/u*u)
	return off, min(n, c.high-off)
}

// room bounds a write that it leaves no hole: it begins at the end of the file at most.
func (c *clerk) room(off, n int) int {
	if off > c.low+len(c.model) {
		return 0
	}
	return n
}

// memory is what a read is to fill.
func (c *clerk) memory(n int) []byte { return make([]byte, n) }

// fresh are n bytes as they have not been written before.
func (c *clerk) fresh(how, n int) []byte { return pattern(100+10*c.f.id+c.id, how, c.steps*1000, n) }

// cut cuts p into pieces.
func (c *clerk) cut(p []byte, how int) [][]byte {
	var ps [][]byte
	for u := c.f.unit(); len(p) > 0; {
		n := min(len(p), max(u, how%300/u*u))
		ps = append(ps, p[:n:n])
		p, how = p[n:], how/2
	}
	return ps
}

// batch are transfers that do not overlap.
func (c *clerk) batch(how int) []file.IO {
	u := c.f.unit()
	var ios []file.IO
	for off := c.low; off < c.low+len(c.model) && len(ios) < 6; off += max(u, 800/u*u) {
		n := max(u, (how+off)%700/u*u)
		ios = append(ios, file.IO{P: make([]byte, min(n, c.low+len(c.model)-off)), Off: int64(off)})
	}
	return ios
}

func (c *clerk) ended(ctx context.Context, ios []file.IO, err error, each func(context.Context, []byte, int, int, error)) {
	if len(ios) > 0 && ios[0].N == 0 && ios[0].Err == nil && err != nil && len(ios[0].P) > 0 {
		c.failed(ctx, err) // it was not begun
		return
	}
	var first error
	for _, b := range ios {
		if first == nil {
			first = b.Err
		}
		each(ctx, b.P, int(b.Off), b.N, b.Err)
	}
	if first != err {
		c.wrong("a batch returns %v, and its first error is %v", err, first)
	}
}

// read holds what a read of p at off returned against the model.
func (c *clerk) read(ctx context.Context, p []byte, off, n int, err error) {
	there := max(0, min(len(p), c.low+len(c.model)-off))
	switch {
	case n < 0 || n > there:
		c.wrong("a read of %d bytes at %d gives %d, and %d are there", len(p), off, n, there)
		return
	case string(p[:n]) != string(c.model[min(off-c.low, len(c.model)):][:n]) && !c.f.unknown:
		c.wrong("a read of %d bytes at %d gives others than were written", n, off)
	}
	switch {
	case err == nil && n < len(p):
		c.wrong("a read of %d bytes gives %d without an error", len(p), n)
	case err == io.EOF && n < there:
		c.wrong("end of file after %d bytes, %d are there", n, there)
	case err != nil && err != io.EOF:
		c.failed(ctx, err)
	}
}

// wrote takes note of a write of p at off.
func (c *clerk) wrote(ctx context.Context, p []byte, off, n int, err error) {
	if n < 0 || n > len(p) || err == nil && n < len(p) {
		c.wrong("a write of %d bytes wrote %d: %v", len(p), n, err)
		return
	}
	at := off - c.low
	if n > 0 {
		c.model = append(c.model[:at], append(append([]byte(nil), p[:n]...), c.model[min(len(c.model), at+n):]...)...)
	}
	if err != nil {
		c.failed(ctx, err)
	}
}

func (c *clerk) sync(ctx context.Context, how int) {
	before := c.f.handle.State().Writes
	call := c.f.SyncContext
	if how%2 == 0 {
		call = c.f.DatasyncContext
	}
	err := call(ctx)
	if err != nil {
		c.failed(ctx, err)
	} else if d := c.f.handle.State().Durable; d < before {
		c.wrong("after a sync %d writes are safe, %d had ended before", d, before)
	}
}

// lease reads into memory of the engine and writes that back.
func (c *clerk) lease(ctx context.Context, off, n int) {
	l, err := c.f.ReadAtLeaseContext(ctx, n, int64(off))
	c.read(ctx, append(append([]byte(nil), l.Bytes()...), make([]byte, n-l.Len())...), off, l.Len(), err)
	if !l.Valid() {
		return
	}
	b := append([]byte(nil), l.Bytes()...)
	if len(b)%c.f.unit() != 0 {
		l.Release()
		return
	}
	m, err := c.f.WriteAtLease(l, int64(off))
	c.wrote(context.Background(), b, off, m, err)
}

// misaligned: O_DIRECT refuses it, and nothing happens.
func (c *clerk) misaligned() {
	n, err := c.f.WriteAt(make([]byte, 100), int64(c.low))
	if n != 0 || err == nil {
		c.wrong("a misaligned write: %d, %v", n, err)
	} else if !errors.Is(err, syscall.EINVAL) {
		c.failed(context.Background(), err)
	}
}

// atPosition does something at the position, which all share.
func (c *clerk) atPosition(deed, how int) {
	f := c.f
	ctx, stop := c.context()
	defer stop()
	n := 1 + how%1200
	c.note("deed %d at the position, %d bytes", deed, n)
	switch deed {
	case 0, 1, 2, 3:
		p := c.memory(n)
		m, err := f.ReadContext(ctx, p)
		there := max(0, min(n, len(f.model)-f.pos))
		switch {
		case m < 0 || m > there || m == 0 && err == nil:
			c.wrong("a read of %d bytes at position %d gives %d: %v", n, f.pos, m, err)
			return
		case string(p[:m]) != string(f.model[f.pos:][:m]) && !f.unknown && m > 0:
			c.wrong("a read at position %d gives others than were written", f.pos)
		case err == io.EOF && there > 0:
			c.wrong("end of file at position %d of %d", f.pos, len(f.model))
		}
		f.pos += m
		if err != nil && err != io.EOF {
			c.failed(ctx, err)
		}
	case 4, 5, 6, 7:
		p := c.fresh(how, n)
		m, err := f.WriteContext(ctx, p)
		if m < 0 || m > n || m < n && err == nil {
			c.wrong("a write of %d bytes wrote %d: %v", n, m, err)
			return
		}
		if m > 0 {
			if f.appends {
				f.pos = len(f.model)
			}
			f.model = append(f.model[:f.pos], append(append([]byte(nil), p[:m]...), f.model[min(len(f.model), f.pos+m):]...)...)
			f.pos += m
		}
		if err != nil {
			c.failed(ctx, err)
		}
	case 8:
		at := how % (len(f.model) + 1)
		got, err := f.Seek(int64(at), io.SeekStart)
		if err != nil {
			c.failed(ctx, err)
		} else if f.pos = at; got != int64(at) {
			c.wrong("Seek to %d goes to %d", at, got)
		}
	case 9:
		c.sync(ctx, how)
	}
}

// failed holds an error against what may be.
func (c *clerk) failed(ctx context.Context, err error) {
	f := c.f
	f.w.settleFirst()
	c.note("%v", err)
	switch {
	case errors.Is(err, os.ErrClosed):
		if !f.closing {
			c.wrong("the file is said to be closed, and nobody has closed it")
		}
	case errors.Is(err, context.Canceled):
		if ctx.Err() == nil {
			c.wrong("a call is cancelled, and nobody has asked for it")
		}
	case errors.Is(err, proactor.ErrBroken), f.w.broke:
		f.unknown = true
		if !f.w.broke {
			c.wrong("%v, and it is not", err)
		}
	case !f.handle.State().Disturbed:
		c.wrong("a call fails without a reason: %v", err)
	}
}

func (b *cabinet) finished() bool { return len(b.waiting()) == 0 }

func (b *cabinet) waiting() (s []string) {
	if b == nil {
		return nil
	}
	for _, f := range b.files {
		for _, c := range f.clerks {
			if !c.over {
				s = append(s, fmt.Sprintf("file %d: program %d (goroutine %v) is not over", f.id, c.id, c.gate != nil))
			}
		}
	}
	return s
}

// close is the end of the world's files.
func (b *cabinet) close() {
	if err := b.fs.Close(context.Background()); err != nil {
		b.w.wrong("Close of the files: %v", err)
	}
}

// verdict: the files hold what was written.
func (b *cabinet) verdict() {
	if b == nil {
		return
	}
	for _, f := range b.files {
		if f.unknown {
			continue
		}
		want := f.model
		if !f.shared {
			want = nil
			for _, c := range f.clerks {
				want = append(want, c.model...)
			}
		}
		if got := f.handle.State().Content; string(got) != string(want) {
			b.w.wrong("file %d holds %d bytes that are not the %d that were written", f.id, len(got), len(want))
		}
	}
}
