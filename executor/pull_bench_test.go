package executor

import (
	"iter"
	"testing"
)

// What bare switches allow: two coroutines in turns, resumed by one loop. Per round two resumes and two suspensions.
func BenchmarkPullTwo(b *testing.B) {
	body := func(yield func(struct{}) bool) {
		for yield(struct{}{}) {
		}
	}
	var next [2]func() (struct{}, bool)
	for i := range next {
		n, stop := iter.Pull(body)
		defer stop()
		next[i] = n
	}
	for b.Loop() {
		next[0]()
		next[1]()
	}
}

// One coroutine resumes the other, which yields to it: half the switches of a round, at the price that the first cannot
// go on before the second has suspended.
func BenchmarkPullNested(b *testing.B) {
	body := func(yield func(struct{}) bool) {
		for yield(struct{}{}) {
		}
	}
	inner, stop := iter.Pull(body)
	defer stop()
	for b.Loop() {
		inner()
	}
}
