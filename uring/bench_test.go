//go:build linux

package uring

import "testing"

func BenchmarkNops(b *testing.B) {
	r := newRing(b, Params{Entries: 64, Flags: SetupNoSQArray})
	for b.Loop() {
		for range 64 {
			r.GetSQE().PrepNop()
		}
		if _, e := r.SubmitAndReap(); e != 0 {
			b.Fatal(e)
		}
		for range 64 {
			if _, ok := r.Next(); !ok {
				b.Fatal()
			}
		}
		r.PublishHead()
	}
}

func BenchmarkEmptyEnter(b *testing.B) {
	r := newRing(b, Params{})
	for b.Loop() {
		r.SubmitAndReap()
	}
}
