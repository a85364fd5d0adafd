//go:build linux

package simkernel

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// A disk is a disk file. A transfer happens at one moment, whole or up to a part that is chosen; with O_DIRECT that part
// ends at a sector. Part of it may be in the page cache: what chance says at each question.
type disk struct {
	content   []byte
	pos       int64
	flags     int
	writes    int // transfers to it so far
	durable   int // of them, those that a sync has made safe
	disturbed bool
}

// sector is the alignment that O_DIRECT asks for.
const sector = 512

// Create makes a disk file of these bytes, which become the kernel's; flags are O_DIRECT and O_APPEND of open(2).
func (k *Kernel) Create(content []byte, flags int) (fd int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fd, _ = k.install(&file{disk: &disk{content: content, flags: flags}})
	return fd
}

// DiskState is what a test may know of a disk file.
type DiskState struct {
	// Content are the file's bytes, not to be changed.
	Content []byte
	// Writes counts the transfers to it, Durable says how many of them a sync has made safe.
	Writes, Durable int
	// Disturbed tells that an operation was failed for no reason of the program's.
	Disturbed bool
}

// A Handle looks at a disk file, also after its descriptor was closed.
type Handle struct {
	k *Kernel
	d *disk
}

// Handle returns that of fd, which is a disk file.
func (k *Kernel) Handle(fd int) Handle {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Handle{k, k.files[fd].disk}
}

// State is the file's at this moment.
func (h Handle) State() DiskState {
	h.k.mu.Lock()
	defer h.k.mu.Unlock()
	return DiskState{h.d.content, h.d.writes, h.d.durable, h.d.disturbed}
}

// onDiskFile makes a system call on the disk file fd.
func (k *Kernel) onDiskFile(fd int, call func(*disk) (int64, syscall.Errno)) (int64, syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.files[fd]
	if f == nil || f.disk == nil {
		k.violate("a system call on descriptor %d, which is no open disk file", fd)
		return 0, syscall.EBADF
	}
	return call(f.disk)
}

// Do implements op.Disk.
func (k *Kernel) Do(kind op.Kind, fd int, p []byte, off int64, nowait bool) (int, syscall.Errno) {
	n, errno := k.onDiskFile(fd, func(d *disk) (int64, syscall.Errno) {
		n, errno := k.do(d, kind, p, off, nowait)
		return int64(n), errno
	})
	return int(n), errno
}

func (k *Kernel) do(d *disk, kind op.Kind, p []byte, off int64, nowait bool) (int, syscall.Errno) {
	if nowait {
		switch k.choose(8) {
		case 0, 1, 2, 3, 4: // the dullest is to go to the disk
			k.tally.add("page cache has nothing (EAGAIN)")
			return 0, syscall.EAGAIN
		case 5:
			return k.transfer(d, kind, p, off, 1+k.choose(2000))
		case 6:
			if k.fault("file system knows no RWF_NOWAIT", k.cfg.Faults.Wait) {
				return 0, syscall.EOPNOTSUPP
			}
		}
	}
	return k.transfer(d, kind, p, off, -1)
}

// Seek implements op.Disk.
func (k *Kernel) Seek(fd int, off int64, whence int) (int64, syscall.Errno) {
	return k.onDiskFile(fd, func(d *disk) (int64, syscall.Errno) {
		at := off
		switch whence {
		case unix.SEEK_CUR:
			at += d.pos
		case unix.SEEK_END:
			at += int64(len(d.content))
		}
		if at < 0 {
			return 0, syscall.EINVAL
		}
		d.pos = at
		return at, 0
	})
}

// Shut implements op.Disk.
func (k *Kernel) Shut(fd int) { k.Close(fd, op.Orderly) }

// transfer makes a transfer of at most most bytes, all of them if it is negative. mu is held.
func (k *Kernel) transfer(d *disk, kind op.Kind, p []byte, off int64, most int) (int, syscall.Errno) {
	if kind == op.Fsync {
		d.durable = d.writes
		return 0, 0
	}
	ps := [][]byte{p}
	if kind == op.Readv || kind == op.Writev {
		ps = iovecs(p)
	}
	want := 0
	for _, p := range ps {
		if want += len(p); d.flags&unix.O_DIRECT != 0 && len(p)%sector != 0 {
			return 0, syscall.EINVAL
		}
	}
	at, write := off, kind == op.Write || kind == op.Writev
	switch {
	case write && d.flags&unix.O_APPEND != 0:
		at = int64(len(d.content))
	case off < 0:
		at = d.pos
	}
	if d.flags&unix.O_DIRECT != 0 && at%sector != 0 {
		return 0, syscall.EINVAL
	}
	if !write {
		want = min(want, max(0, len(d.content)-int(at)))
	}
	n := want
	if most >= 0 {
		n = min(n, most)
	} else {
		n = k.amount(want)
	}
	if n < want && d.flags&unix.O_DIRECT != 0 {
		if n -= n % sector; n == 0 {
			n = min(want, sector)
		}
	}
	d.move(ps, int(at), n, write)
	if off < 0 {
		d.pos = at + int64(n)
	}
	return n, 0
}

func (d *disk) move(ps [][]byte, at, n int, write bool) {
	if write && n > 0 {
		d.writes++
		if grow := at + n - len(d.content); grow > 0 {
			d.content = append(d.content, make([]byte, grow)...)
		}
	}
	for _, p := range ps {
		if n == 0 {
			break
		}
		p = p[:min(len(p), n)]
		if write {
			copy(d.content[at:], p)
		} else {
			copy(p, d.content[at:])
		}
		at, n = at+len(p), n-len(p)
	}
}

// lend notes what the memory of r, a transfer, looks like when the kernel is given it.
func (r *request) lend() {
	switch r.kind {
	case op.Read, op.Write:
		r.memory = [][]byte{r.buf}
	case op.Readv, op.Writev:
		r.memory = iovecs(r.buf)
	default:
		return
	}
	for _, p := range r.memory {
		if r.kind == op.Read || r.kind == op.Readv {
			for i := range p {
				p[i] = untouched
			}
		}
		r.lent = append(r.lent, bytes.Clone(p))
	}
}

// unchanged holds the memory of r against what it was. It is looked at until the program may know of the end.
func (r *request) unchanged() {
	for i, p := range r.lent {
		if r.b.broken == nil && !bytes.Equal(p, r.memory[i]) {
			r.b.k.violate("the memory of a %v was written while it was the kernel's", r.kind)
			break
		}
	}
	r.lent = nil
}

// onDisk has something happen to r, an operation on a disk file. mu is held.
func (b *Backend) onDisk(r *request) {
	k, d := b.k, r.file.disk
	switch {
	case r.cancelled && !r.escapes():
		k.tally.add("cancel finds its operation (0)")
		r.finish(-int32(syscall.ECANCELED))
	case k.fault("EINTR", k.cfg.Faults.Interrupt):
		r.finish(-int32(syscall.EINTR))
	case k.fault("ECANCELED that nobody asked for", k.cfg.Faults.Orphan):
		r.finish(-int32(syscall.ECANCELED))
	case r.kind != op.Fsync && k.fault("EAGAIN of a disk file", k.cfg.Faults.Wait):
		r.finish(-int32(syscall.EAGAIN))
	case k.fault("error of an operation", k.cfg.Faults.Fail):
		d.disturbed = true
		all := failures[r.kind]
		r.finish(-int32(all[k.choose(len(all))]))
	default:
		r.unchanged()
		was := d.pos
		n, errno := k.transfer(d, r.kind, r.buf, r.off, -1)
		if n > 0 && r.off < 0 && d.pos < was+int64(len(r.buf)) && d.flags&unix.O_APPEND == 0 &&
			k.fault("position stays behind a short transfer", k.cfg.Faults.Behind) {
			d.pos = was
		}
		r.finish(result(n, errno))
	}
}

var _ op.Disk = (*Kernel)(nil)
