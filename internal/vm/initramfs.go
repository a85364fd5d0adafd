//go:build linux

package vm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// File is a file of an initramfs.
type File struct {
	// Path is where it lies in the guest, absolute.
	Path string
	// From is the file to copy, or Data its bytes.
	From string
	Data []byte
	// Mode are its permissions.
	Mode os.FileMode
}

// Initramfs writes files as the archive that a kernel unpacks into its first file system: cpio's "newc" form,
// Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's source. Directories are added; it is not
// compressed, since an emulated CPU unpacks slowly.
func Initramfs(w io.Writer, files []File) error {
	b := bufio.NewWriterSize(w, 1<<20)
	c := &cpio{w: b, made: map[string]bool{"/": true}}
	// The kernel opens the console before anything can mount /dev.
	for _, dir := range []string{"/dev", "/proc", "/sys", "/tmp", "/run", "/etc", "/bin"} {
		c.dirs(dir + "/x")
	}
	c.entry("dev/console", 0o020600, 0, 5, 1)
	c.entry("dev/null", 0o020666, 0, 1, 3)
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path {
			return fmt.Errorf("vm: initramfs: %q is not a clean absolute path", f.Path)
		}
		c.dirs(f.Path)
		if err := c.file(f); err != nil {
			return err
		}
	}
	c.entry("TRAILER!!!", 0, 0, 0, 0)
	if c.err != nil {
		return c.err
	}
	return b.Flush()
}

type cpio struct {
	w     *bufio.Writer
	inode int
	made  map[string]bool
	err   error
}

// entry writes a header and the name; size bytes and pad must follow.
func (c *cpio) entry(name string, mode uint32, size int64, major, minor int) {
	c.inode++
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		c.inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0)
	c.write([]byte(header + name + "\x00"))
	c.pad(int64(len(header) + len(name) + 1))
}

func (c *cpio) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
	}
}

// pad fills up to a multiple of four what n bytes were written of.
func (c *cpio) pad(n int64) { c.write(make([]byte, (4-n%4)%4)) }

// dirs adds the directories above a path.
func (c *cpio) dirs(p string) {
	dir := path.Dir(p)
	if c.made[dir] {
		return
	}
	c.dirs(dir)
	c.made[dir] = true
	c.entry(strings.TrimPrefix(dir, "/"), 0o040755, 0, 0, 0)
}

func (c *cpio) file(f File) error {
	r, size := io.Reader(strings.NewReader(string(f.Data))), int64(len(f.Data))
	if f.From != "" {
		src, err := os.Open(f.From)
		if err != nil {
			return fmt.Errorf("vm: initramfs: %w", err)
		}
		defer src.Close()
		st, err := src.Stat()
		if err != nil {
			return fmt.Errorf("vm: initramfs: %w", err)
		}
		r, size = src, st.Size()
	}
	c.entry(strings.TrimPrefix(f.Path, "/"), 0o100000|uint32(f.Mode.Perm()), size, 0, 0)
	if c.err != nil {
		return c.err
	}
	if n, err := io.CopyN(c.w, r, size); err != nil {
		return fmt.Errorf("vm: initramfs: %s: %d of %d bytes: %w", f.Path, n, size, err)
	}
	c.pad(size)
	return c.err
}
