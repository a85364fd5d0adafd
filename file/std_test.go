//go:build linux

package file

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

var errInvalid = error(syscall.EINVAL)

func TestDirFS(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o700))
		var names []string
		for _, name := range []string{"x", "a/y", "a/b/c/z"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), pattern(len(name), 5000), 0o600))
			names = append(names, name)
		}
		require.NoError(t, fstest.TestFS(p.DirFS(dir), names...))
		_, err := p.DirFS(dir).Open("../x")
		require.ErrorIs(t, err, fs.ErrInvalid)
		_, err = fs.ReadFile(p.DirFS(dir), "none")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, os.Symlink("x", filepath.Join(dir, "link")))
		ours, std := p.DirFS(dir), os.DirFS(dir)
		for _, name := range []string{"x", "a", "link", "none", "../x", "/x", "", ".", "x\x00"} {
			a, want := fs.ReadFile(std, name)
			b, got := fs.ReadFile(ours, name)
			require.Equal(t, string(a), string(b), name)
			require.Equal(t, want, got, "ReadFile %q", name)
			to, want := fs.ReadLink(std, name)
			ourTo, got := fs.ReadLink(ours, name)
			require.Equal(t, to, ourTo)
			require.Equal(t, want, got, "ReadLink %q", name)
			info, want := fs.Lstat(std, name)
			ourInfo, got := fs.Lstat(ours, name)
			require.Equal(t, info, ourInfo)
			require.Equal(t, want, got, "Lstat %q", name)
		}
	})
}

// The standard library's readers and writers on our files.
func TestArchives(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dir := t.TempDir()
		want := pattern(0, 300_000)
		f, err := p.Create(filepath.Join(dir, "a.tar.gz"))
		require.NoError(t, err)
		buf := bufio.NewWriter(f)
		gz := gzip.NewWriter(buf)
		tw := tar.NewWriter(gz)
		require.NoError(t, tw.WriteHeader(&tar.Header{Name: "x", Mode: 0o600, Size: int64(len(want))}))
		_, err = tw.Write(want)
		require.NoError(t, err)
		require.NoError(t, errors.Join(tw.Close(), gz.Close(), buf.Flush()))
		_, err = f.Seek(0, io.SeekStart)
		require.NoError(t, err)
		unzipped, err := gzip.NewReader(bufio.NewReader(f))
		require.NoError(t, err)
		tr := tar.NewReader(unzipped)
		h, err := tr.Next()
		require.NoError(t, err)
		require.Equal(t, "x", h.Name)
		got, err := io.ReadAll(tr)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.NoError(t, f.Close())

		f, err = p.Create(filepath.Join(dir, "a.zip"))
		require.NoError(t, err)
		zw := zip.NewWriter(f)
		w, err := zw.Create("x")
		require.NoError(t, err)
		_, err = w.Write(want)
		require.NoError(t, err)
		require.NoError(t, zw.Close())
		info, err := f.Stat()
		require.NoError(t, err)
		zr, err := zip.NewReader(f, info.Size())
		require.NoError(t, err)
		got, err = fs.ReadFile(zr, "x")
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.NoError(t, f.Close())
	})
}

func TestCopies(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		dir := t.TempDir()
		want := pattern(0, 3_000_000)
		require.NoError(t, p.WriteFile(filepath.Join(dir, "a"), want, 0o600))
		src, err := p.Open(filepath.Join(dir, "a"))
		require.NoError(t, err)
		dst, err := p.Create(filepath.Join(dir, "b"))
		require.NoError(t, err)
		n, err := io.Copy(dst, src)
		require.NoError(t, err)
		require.EqualValues(t, len(want), n)
		// A part, to the end of the other; the rest stays unread.
		_, err = src.Seek(100, io.SeekStart)
		require.NoError(t, err)
		n, err = io.CopyN(dst, src, 1000)
		require.NoError(t, err)
		require.EqualValues(t, 1000, n)
		at, err := src.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, 1100, at)
		require.NoError(t, errors.Join(src.Close(), dst.Close()))
		got, err := p.ReadFile(filepath.Join(dir, "b"))
		require.NoError(t, err)
		require.Equal(t, want, got[:len(want)])
		require.Equal(t, want[100:1100], got[len(want):])
		_, err = io.Copy(dst, src)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

// A pipe waits for its other end without holding anything up, has deadlines, and Close ends a Read.
func TestPipes(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		stdR, stdW, err := os.Pipe()
		require.NoError(t, err)
		r, w := p.Wrap(stdR), p.Wrap(stdW)
		var all sync.WaitGroup
		all.Add(1)
		p.goes(func() {
			defer all.Done()
			got, err := io.ReadAll(r)
			if err != nil || len(got) != 200_000 {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
		n, err := w.Write(pattern(0, 200_000))
		require.NoError(t, err)
		require.Equal(t, 200_000, n)
		require.NoError(t, w.Close())
		waitFor(&all)
		require.NoError(t, r.Close())

		stdR, stdW, err = os.Pipe()
		require.NoError(t, err)
		r, w = p.Wrap(stdR), p.Wrap(stdW)
		require.NoError(t, r.SetReadDeadline(time.Now().Add(time.Millisecond)))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, r.SetReadDeadline(time.Time{}))
		began := make(chan struct{})
		all.Add(1)
		p.goes(func() {
			defer all.Done()
			close(began)
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
				t.Errorf("read of a closed pipe: %v", err)
			}
		})
		await(func() { <-began })
		require.NoError(t, r.Close())
		waitFor(&all)
		_, err = w.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, w.Close())
	})
}

func TestTerminal(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		f, err := p.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			t.Skip("no pseudo terminals here: ", err)
		}
		n, err := f.Write([]byte("hello\n")) // echoed back by the terminal's line discipline
		require.NoError(t, err)
		require.Equal(t, 6, n)
		b := make([]byte, 7)
		_, err = io.ReadFull(f, b)
		require.NoError(t, err)
		require.Equal(t, "hello\r\n", string(b))
		require.NoError(t, f.Close())
	})
}
