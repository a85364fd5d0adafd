//go:build linux

package uring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// memoryRing is a ring whose queues lie in ordinary memory, so that the test plays the kernel. Both queues begin at start.
func memoryRing(entries uint32, start uint32) *Ring {
	words := make([]uint32, 6)
	for i := range words {
		words[i] = start
	}
	words[2], words[5] = 0, 0
	r := &Ring{fd: -1, enterFD: -1,
		kSQHead: &words[0], kSQTail: &words[1], kSQFlags: &words[2], kCQHead: &words[3], kCQTail: &words[4], kCQOverflow: &words[5],
		sqes: make([]SQE, entries), cqes: make([]CQE, 2*entries)}
	r.params.sqEntries, r.params.cqEntries = entries, 2*entries
	r.params.flags = uint32(SetupNoSQArray)
	r.init()
	return r
}

// FuzzCQEStream plays kernel and owner on a ring's memory, in any order, from any position (the indices wrap at 2^32):
// completions come out once, in order and unchanged, and entries reach the kernel likewise.
func FuzzCQEStream(f *testing.F) {
	f.Add(uint8(2), uint32(0), []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add(uint8(0), ^uint32(0), []byte("\x00\x10\x20\x01\x02\x00\x11\x21\x03\x04"))
	f.Add(uint8(5), ^uint32(3), []byte("0011223344550102030405000102030405"))
	f.Fuzz(func(t *testing.T, size uint8, start uint32, steps []byte) {
		r := memoryRing(1<<(size%8), start)
		var posted, taken, given uint32 // completions: by the kernel, by the owner, given back
		var queued, flushed, consumed uint32
		cqe := func(i uint32) CQE { return CQE{UserData: uint64(i) * 0x9e3779b97f4a7c15, Res: int32(i), Flags: i << 3} }
		for _, s := range steps {
			n := uint32(s >> 4)
			switch s % 6 {
			case 0: // the kernel posts
				for ; n > 0 && posted-given < r.CQEntries(); n-- {
					r.cqes[(start+posted)&r.cqMask] = cqe(posted)
					posted++
				}
				*r.kCQTail = start + posted
			case 1: // the owner takes
				for ; n > 0; n-- {
					c, ok := r.Next()
					require.Equal(t, taken != posted, ok)
					if ok {
						require.Equal(t, cqe(taken), c)
						taken++
					}
				}
			case 2:
				r.PublishHead()
				given = taken
				require.Equal(t, start+given, *r.kCQHead)
			case 3: // the owner prepares
				for ; n > 0; n-- {
					e := r.GetSQE()
					require.Equal(t, queued-consumed < r.SQEntries(), e != nil)
					if e != nil {
						require.Equal(t, SQE{}, *e, "an entry is handed out zeroed")
						e.UserData = uint64(queued) + 1
						queued++
					}
				}
			case 4:
				require.Equal(t, queued-consumed, r.flush())
				flushed = queued
			case 5: // the kernel consumes
				for ; n > 0 && consumed != flushed; n-- {
					require.Equal(t, uint64(consumed)+1, r.sqes[(start+consumed)&r.sqMask].UserData)
					consumed++
				}
				*r.kSQHead = start + consumed
				r.sqHead = *r.kSQHead // as enter does
			}
			require.Equal(t, posted-given, r.Ready())
			require.Equal(t, queued-consumed, r.Queued())
		}
	})
}
