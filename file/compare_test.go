//go:build linux

package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// anyFile is what os.File and File have in common.
type anyFile interface {
	io.ReadWriteSeeker
	io.ReaderAt
	io.WriterAt
	io.ReaderFrom
	io.WriterTo
	io.Closer
	io.StringWriter
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(int64) error
	Chmod(fs.FileMode) error
	ReadDir(int) ([]fs.DirEntry, error)
	Readdirnames(int) ([]string, error)
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	Fd() uintptr
}

type opener func(name string, flag int, perm fs.FileMode) (anyFile, error)

func stdOpen(name string, flag int, perm fs.FileMode) (anyFile, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (p place) opener() opener {
	return func(name string, flag int, perm fs.FileMode) (anyFile, error) {
		f, err := p.OpenFile(name, flag, perm)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
}

// A script is a list of steps on files below a directory; what each step returns is written down, errors with their types
// and fields.
type script func(open opener, dir string, note func(what string, results ...any))

// same runs s with package os and with p, and compares what was noted.
func same(t *testing.T, s script) {
	everywhere(t, func(t *testing.T, p place) {
		record := func(open opener) (notes []string) {
			dir := t.TempDir()
			s(open, dir, func(what string, results ...any) {
				for i, r := range results {
					if err, ok := r.(error); ok {
						results[i] = describe(err, dir)
					}
				}
				notes = append(notes, fmt.Sprintf("%s: %v", what, results))
			})
			return notes
		}
		want := record(stdOpen)
		require.NotEmpty(t, want)
		require.Equal(t, want, record(p.opener()))
	})
}

// describe is the whole chain of err, with types.
func describe(err error, dir string) string {
	var b strings.Builder
	for err != nil {
		fmt.Fprintf(&b, "%v %q", reflect.TypeOf(err), strings.ReplaceAll(err.Error(), dir, "DIR"))
		if pe, ok := err.(*fs.PathError); ok {
			fmt.Fprintf(&b, " op=%s path=%s", pe.Op, strings.ReplaceAll(pe.Path, dir, "DIR"))
		}
		err = errors.Unwrap(err)
		b.WriteString(" → ")
	}
	return b.String()
}

func TestSameTransfers(t *testing.T) {
	same(t, func(open opener, dir string, note func(string, ...any)) {
		f, err := open(filepath.Join(dir, "a"), os.O_RDWR|os.O_CREATE, 0o600)
		note("create", err)
		n, err := f.Write(pattern(0, 10_000))
		note("write", n, err)
		n, err = f.WriteString("tail")
		note("write string", n, err)
		n, err = f.Write(nil)
		note("write nothing", n, err)
		p := make([]byte, 3000)
		n, err = f.Read(p)
		note("read at end", n, err)
		at, err := f.Seek(-100, io.SeekEnd)
		note("seek", at, err)
		n, err = f.Read(p)
		note("read tail", n, err, string(p[:n]))
		n, err = f.Read(nil)
		note("read nothing", n, err)
		for _, off := range []int64{0, 7005, 7004, 10_004, 10_005, -1, 1 << 40} {
			n, err = f.ReadAt(p, off)
			note(fmt.Sprint("read at ", off), n, err, string(p[:max(n, 0)]))
			n, err = f.ReadAt(nil, off)
			note(fmt.Sprint("read nothing at ", off), n, err)
		}
		n, err = f.WriteAt([]byte("x"), -5)
		note("write at -5", n, err)
		n, err = f.WriteAt([]byte("hole"), 20_000)
		note("write at", n, err)
		at, err = f.Seek(0, io.SeekCurrent)
		note("position", at, err)
		at, err = f.Seek(-1, io.SeekStart)
		note("bad seek", at, err)
		at, err = f.Seek(0, 17)
		note("bad whence", at, err)
		note("truncate", f.Truncate(5), f.Truncate(-1), f.Sync(), f.Chmod(0o400))
		info, err := f.Stat()
		note("stat", info.Name(), info.Size(), info.Mode(), err)
		note("deadline", f.SetDeadline(time.Now()))
		d, err := f.ReadDir(-1)
		note("readdir", len(d), err)
		note("close", f.Close(), f.Close())
	})
}

func TestSameErrors(t *testing.T) {
	same(t, func(open opener, dir string, note func(string, ...any)) {
		_, err := open(filepath.Join(dir, "none"), os.O_RDONLY, 0)
		note("open", err)
		_, err = open(dir, os.O_RDWR, 0)
		note("open a directory for writing", err)
		d, err := open(dir, os.O_RDONLY, 0)
		note("open a directory", err)
		p := make([]byte, 10)
		n, err := d.Read(p)
		note("read a directory", n, err)
		n, err = d.ReadAt(p, 0)
		note("read at a directory", n, err)
		names, err := d.Readdirnames(0)
		note("names", names, err)
		note("close", d.Close())
		w, err := open(filepath.Join(dir, "w"), os.O_WRONLY|os.O_CREATE, 0o600)
		note("create", err)
		n, err = w.Read(p)
		note("read what is for writing", n, err)
		n, err = w.ReadAt(p, 0)
		note("read at what is for writing", n, err)
		note("close", w.Close())
		r, err := open(filepath.Join(dir, "w"), os.O_RDONLY, 0)
		note("open", err)
		n, err = r.Write(p)
		note("write what is for reading", n, err)
		n, err = r.WriteAt(p, 0)
		note("write at what is for reading", n, err)
		note("truncate", r.Truncate(0))
		note("close", r.Close())
		a, err := open(filepath.Join(dir, "w"), os.O_RDWR|os.O_APPEND, 0)
		note("open for appending", err)
		n, err = a.Write([]byte("abc"))
		note("append", n, err)
		_, err = a.Seek(0, io.SeekStart)
		note("seek", err)
		n, err = a.Write([]byte("def"))
		note("append", n, err)
		n, err = a.WriteAt(p, 0)
		note("write at", n, err)
		n, err = a.ReadAt(p, 0)
		note("read at", n, err, string(p[:n]))
		note("close", a.Close())
		for what, use := range map[string]func() (int, error){
			"read": func() (int, error) { return a.Read(p) }, "readat": func() (int, error) { return a.ReadAt(p, 0) },
			"write": func() (int, error) { return a.Write(p) },
		} {
			n, err = use()
			if what == "read" { // a map has no order, so one note each, of what must be alike
				note("closed "+what, n, err)
			}
			if !errors.Is(err, os.ErrClosed) {
				note("closed "+what, n, err)
			}
		}
		_, err = a.Seek(0, 0)
		note("closed seek", err)
		_, err = a.Stat()
		note("closed stat", err)
		note("closed", a.Sync(), a.Truncate(0), a.Chmod(0))
		full, err := open("/dev/full", os.O_WRONLY, 0)
		note("open /dev/full", err)
		n, err = full.Write(p)
		note("write", n, err)
		note("close", full.Close())
	})
}

// Other kinds of files are package os's.
func TestSameOtherFiles(t *testing.T) {
	same(t, func(open opener, dir string, note func(string, ...any)) {
		f, err := open("/proc/self/status", os.O_RDONLY, 0)
		note("open", err)
		p := make([]byte, 5)
		n, err := f.Read(p)
		note("read", n, err, string(p))
		n, err = f.ReadAt(p, 1)
		note("read at", n, err, string(p))
		note("close", f.Close())
		z, err := open("/dev/zero", os.O_RDWR, 0)
		note("open", err)
		n, err = z.Read(p)
		note("read", n, err, p)
		n, err = z.Write(p)
		note("write", n, err)
		note("close", z.Close())
	})
}

func TestNil(t *testing.T) {
	var f *File
	_, err := f.Read(nil)
	require.Equal(t, os.ErrInvalid, err)
	_, err = f.WriteAt(nil, 0)
	require.Equal(t, os.ErrInvalid, err)
	require.Equal(t, os.ErrInvalid, f.Close())
	_, err = f.Stat()
	require.Equal(t, os.ErrInvalid, err)
}
