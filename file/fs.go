//go:build linux

package file

import (
	"io"
	"io/fs"
	"os"
)

// DirFS returns the files below dir as a file system, as os.DirFS does; what it opens are *File. It also implements
// fs.ReadFileFS, fs.ReadDirFS, fs.StatFS and fs.ReadLinkFS. As with os.DirFS, symbolic links may lead out of dir: os.Root
// with Wrap does not allow that.
func DirFS(dir string) fs.FS { return Default().DirFS(dir) }

// DirFS is the function DirFS.
func (fs *Files) DirFS(dir string) fs.FS { return dirFS{fs, os.DirFS(dir)} }

type dirFS struct {
	files *Files
	std   fs.FS
}

func (d dirFS) Open(name string) (f fs.File, err error) {
	var std fs.File
	await(func() { std, err = d.std.Open(name) })
	if err != nil {
		return nil, err
	}
	return d.files.Wrap(std.(*os.File)), nil
}

func (d dirFS) ReadFile(name string) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		var p []byte
		await(func() { p, err = fs.ReadFile(d.std, name) }) // its error names another operation
		return p, err
	}
	defer f.Close()
	p, err := f.(*File).readAll()
	if e, ok := err.(*fs.PathError); ok {
		e.Path = name
	}
	return p, err
}

func (d dirFS) ReadDir(name string) (entries []fs.DirEntry, err error) {
	await(func() { entries, err = fs.ReadDir(d.std, name) })
	return entries, err
}

func (d dirFS) Stat(name string) (info fs.FileInfo, err error) {
	await(func() { info, err = fs.Stat(d.std, name) })
	return info, err
}

func (d dirFS) Lstat(name string) (info fs.FileInfo, err error) {
	await(func() { info, err = fs.Lstat(d.std, name) })
	return info, err
}

func (d dirFS) ReadLink(name string) (to string, err error) {
	await(func() { to, err = fs.ReadLink(d.std, name) })
	return to, err
}

// ReadFile reads a whole file, as os.ReadFile.
func ReadFile(name string) ([]byte, error) { return Default().ReadFile(name) }

// ReadFile is the function ReadFile.
func (fs *Files) ReadFile(name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.readAll()
}

// leastRead is what a read of a file of unknown size begins with; those of /proc say that they are empty.
const leastRead = 512

func (f *File) readAll() ([]byte, error) {
	p := make([]byte, 0, max(f.size()+1, leastRead))
	for {
		n, err := f.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err == io.EOF {
			return p, nil
		}
		if err != nil {
			return p, err
		}
		if len(p) == cap(p) {
			p = append(p, 0)[:len(p)]
		}
	}
}

// WriteFile writes a whole file, as os.WriteFile.
func WriteFile(name string, data []byte, perm fs.FileMode) error {
	return Default().WriteFile(name, data, perm)
}

// WriteFile is the function WriteFile.
func (fs *Files) WriteFile(name string, data []byte, perm fs.FileMode) error {
	f, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
