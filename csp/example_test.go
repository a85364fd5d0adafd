package csp_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ouro-io/ouro/csp"
	"github.com/ouro-io/ouro/executor"
)

// A producer and a consumer; both may be goroutines or coroutines.
func ExampleChan() {
	c := csp.New[int](4)
	go func() {
		defer c.Close()
		for i := range 3 {
			c.Send(i)
		}
	}()
	for v := range c.Range() {
		fmt.Println(v)
	}
	// Output:
	// 0
	// 1
	// 2
}

// The first case that can happen does, and none of the others.
func ExampleSelect() {
	numbers, words := csp.New[int](1), csp.New[string](1)
	words.Send("hello")
	var n int
	var w string
	which, err := csp.Select(context.Background(),
		csp.Recv(numbers, &n),
		csp.Recv(words, &w),
		csp.After(time.Minute),
	)
	fmt.Println(which, err, w)
	// Output: 1 <nil> hello
}

// Of two that could happen the first in the list does.
func ExampleSelectPriority() {
	urgent, normal := csp.New[string](1), csp.New[string](1)
	normal.Send("later")
	urgent.Send("now")
	var text string
	for range 2 {
		_, _ = csp.SelectPriority(context.Background(), csp.Recv(urgent, &text), csp.Recv(normal, &text))
		fmt.Println(text)
	}
	// Output:
	// now
	// later
}

// Every receiver gets every value; a slow one is told what it missed.
func ExampleBroadcast() {
	b := csp.NewBroadcast[int](csp.BroadcastConfig{Capacity: 2, Lag: csp.LagFail})
	r := b.Subscribe()
	defer r.Close()
	for i := range 5 {
		b.Send(i)
	}
	b.Close()
	for {
		v, err := r.RecvContext(context.Background())
		if err == csp.ErrClosed {
			return
		}
		fmt.Println(v, err)
	}
	// Output:
	// 0 csp: the receiver was too slow and has missed 3 values: receive faster, or raise BroadcastConfig.Capacity
	// 3 <nil>
	// 4 <nil>
}

// A watcher sees the latest value, not each.
func ExampleWatch() {
	level := csp.NewWatch("info")
	w := level.Subscribe()
	_ = level.Set("debug")
	_ = level.Set("warn")
	v, _ := w.Next(context.Background())
	fmt.Println(v)
	// Output: warn
}

// A reply travels back by a Oneshot.
func ExampleOneshot() {
	type request struct {
		n     int
		reply *csp.Oneshot[int]
	}
	requests := csp.New[request](0)
	go func() {
		for r := range requests.Range() {
			_ = r.reply.Send(r.n * r.n)
		}
	}()
	reply := new(csp.Oneshot[int])
	requests.Send(request{7, reply})
	v, _ := reply.Recv()
	fmt.Println(v)
	requests.Close()
	// Output: 49
}

// A Go channel becomes one that coroutines can wait for.
func ExampleFromGo() {
	ticks := make(chan int)
	go func() {
		defer close(ticks)
		for i := range 2 {
			ticks <- i
		}
	}()
	err := executor.RunScope(context.Background(), executor.ScopeConfig{}, func(s *executor.Scope) error {
		c, err := csp.FromGo(s, ticks, 0)
		if err != nil {
			return err
		}
		for v := range c.Range() {
			fmt.Println(v)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 0
	// 1
	// <nil>
}
