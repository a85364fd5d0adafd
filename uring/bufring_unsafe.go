//go:build linux

package uring

import (
	"encoding/binary"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const bufRingInc = 2

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	resv        [3]uint64
}

// bufStatus is struct io_uring_buf_status.
type bufStatus struct {
	group uint32
	head  uint32
	resv  [8]uint32
}

func (r *Ring) registerBufRing(group uint16, entries uint32, flags uint16) (*BufRing, error) {
	if err := checkBufEntries(entries); err != nil {
		return nil, err
	}
	mem, err := mapAnonymous(uintptr(entries) * unsafe.Sizeof(bufEntry{}))
	if err != nil {
		return nil, err
	}
	// SAFETY: the mapping is page-aligned and has room for that many entries; word lies at offset 12 of entry 0.
	b := &BufRing{
		ring: r, mem: mem, group: group, mask: uint16(entries - 1),
		bufs: unsafe.Slice((*bufEntry)(unsafe.Pointer(&mem[0])), entries),
		word: (*uint32)(unsafe.Pointer(&mem[12])),
	}
	reg := bufReg{ringAddr: uint64(uintptr(unsafe.Pointer(&mem[0]))), ringEntries: entries, bgid: group, flags: flags}
	// SAFETY: reg has the layout of struct io_uring_buf_reg (tested); the memory it names is mapped until Close.
	if _, errno := sysRegister(r.fd, registerPbufRing, unsafe.Pointer(&reg), 1); errno != 0 {
		b.unmap()
		return nil, registerError("register buffer ring", errno)
	}
	r.bufRings = append(r.bufRings, b)
	return b, nil
}

func (r *Ring) unregisterBufRing(group uint16) syscall.Errno {
	reg := bufReg{bgid: group}
	// SAFETY: as in registerBufRing.
	_, errno := sysRegister(r.fd, unregisterPbufRing, unsafe.Pointer(&reg), 1)
	return errno
}

// Publish makes the entries added visible to the kernel.
//
// The tail has 16 bits and Go has no 16-bit atomic, so the whole aligned word is stored: the bid of entry 0, which
// only this side writes, and the tail.
func (b *BufRing) Publish() {
	var w [4]byte
	binary.NativeEndian.PutUint16(w[:2], b.bid0)
	binary.NativeEndian.PutUint16(w[2:], b.tail)
	atomic.StoreUint32(b.word, binary.NativeEndian.Uint32(w[:]))
}

// Available asks the kernel how many published buffers it has not taken: one system call, 6.8.
func (b *BufRing) Available() (uint32, error) {
	st := bufStatus{group: uint32(b.group)}
	// SAFETY: st has the layout of struct io_uring_buf_status (tested).
	if _, errno := sysRegister(b.ring.fd, registerPbufStatus, unsafe.Pointer(&st), 1); errno != 0 {
		return 0, registerError("buffer ring status", errno)
	}
	var w [4]byte
	binary.NativeEndian.PutUint32(w[:], atomic.LoadUint32(b.word))
	return uint32(binary.NativeEndian.Uint16(w[2:]) - uint16(st.head)), nil
}

func (b *BufRing) unmap() {
	if b.mem == nil {
		return
	}
	mem := b.mem
	b.mem, b.bufs, b.word = nil, nil, new(uint32)
	_ = unix.Munmap(mem)
}
