//go:build linux

package uring

import (
	"math/bits"
	"strconv"
	"syscall"
)

// BufRing is a ring of provided buffers: the owner adds buffers, the kernel takes one when data has arrived, and its
// id comes back in the completion (CQE.Buffer). The ring's own memory is mapped by this package; the buffers are the
// caller's, who must not touch a buffer between Add and the completion that names it, nor have more buffers than
// Entries in the ring. It belongs to the goroutine that owns the Ring.
type BufRing struct {
	ring  *Ring
	mem   []byte
	bufs  []bufEntry
	word  *uint32 // the bid of entry 0 and the tail
	mask  uint16
	tail  uint16 // next entry to write; published by Publish
	bid0  uint16 // what entry 0's bid is, so that Publish can store it beside the tail
	group uint16
}

// bufEntry is struct io_uring_buf. The tail lies over resv of entry 0.
type bufEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

const maxBufEntries = 32768

// RegisterBufRing makes a ring of provided buffers for the group, empty. entries is a power of two, at most 32768; no
// two rings share a group. 5.19.
//
// Errors: EINVAL (bad entries, or a kernel without buffer rings), EEXIST (the group exists, or not the owner
// thread), ENOMEM.
func (r *Ring) RegisterBufRing(group uint16, entries uint32) (*BufRing, error) {
	return r.registerBufRing(group, entries, 0)
}

// RegisterBufRingIncremental is RegisterBufRing whose buffers are used up piece by piece; CQE.BufferMore tells
// whether a buffer goes on. 6.12.
func (r *Ring) RegisterBufRingIncremental(group uint16, entries uint32) (*BufRing, error) {
	return r.registerBufRing(group, entries, bufRingInc)
}

func checkBufEntries(entries uint32) error {
	if bits.OnesCount32(entries) != 1 || entries > maxBufEntries {
		return &Error{Op: "register buffer ring", Errno: syscall.EINVAL,
			Cause: strconv.FormatUint(uint64(entries), 10) + " entries; it takes a power of two up to 32768"}
	}
	return nil
}

// Entries is the ring's size.
func (b *BufRing) Entries() uint32 { return uint32(len(b.bufs)) }

// Group is the buffer group's id.
func (b *BufRing) Group() uint16 { return b.group }

// Add writes the next entry; the kernel sees it after Publish. mem must not be empty and must not be on a stack
// (see the package comment).
func (b *BufRing) Add(mem []byte, id uint16) {
	i := b.tail & b.mask
	e := &b.bufs[i]
	e.addr = bytesAddr(mem)
	e.len = uint32(len(mem))
	e.bid = id
	if i == 0 {
		b.bid0 = id
	}
	b.tail++
}

// Close unregisters the ring and unmaps its memory. Receives that wait for a buffer of the group end with ENOBUFS or
// keep waiting for data, so cancel them first. A second Close, and one after Ring.Close, does nothing. When the
// kernel refuses (EEXIST: not the owner thread) the ring stays as it is.
func (b *BufRing) Close() error {
	if b.mem == nil {
		return nil
	}
	if errno := b.ring.unregisterBufRing(b.group); errno != 0 {
		return registerError("unregister buffer ring", errno)
	}
	for i, o := range b.ring.bufRings {
		if o == b {
			b.ring.bufRings = append(b.ring.bufRings[:i], b.ring.bufRings[i+1:]...)
			break
		}
	}
	b.unmap()
	return nil
}
