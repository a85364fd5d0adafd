package csp

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/executor"
)

// run runs f as a coroutine of a new executor with n workers, and waits for it.
func onWorkers(b testing.TB, n int, f func(e *executor.Executor)) {
	e, err := executor.New(executor.Config{Workers: n})
	require.NoError(b, err)
	done := make(chan struct{})
	require.NoError(b, e.Workers()[0].Go(func() { defer close(done); f(e) }))
	<-done
	require.NoError(b, e.Shutdown(context.Background()))
}

func BenchmarkPingPong(b *testing.B) {
	b.Run("go", func(b *testing.B) {
		x, y := make(chan int), make(chan int)
		go func() {
			for v := range x {
				y <- v
			}
			close(y)
		}()
		for b.Loop() {
			x <- 1
			<-y
		}
		close(x)
		<-y
	})
	for _, size := range []int{0, 1} {
		b.Run([]string{"csp rendezvous", "csp buffered"}[size], func(b *testing.B) {
			b.ReportAllocs()
			onWorkers(b, 1, func(e *executor.Executor) {
				x, y := New[int](size), New[int](size)
				e.Workers()[0].Go(func() {
					for v := range x.Range() {
						y.Send(v)
					}
					y.Close()
				})
				for b.Loop() {
					x.Send(1)
					y.Recv()
				}
				x.Close()
				y.Recv()
			})
		})
	}
}

func BenchmarkOneWay(b *testing.B) {
	for _, size := range []int{0, 64} {
		name := []string{"rendezvous", "buffered"}[min(size, 1)]
		b.Run("go "+name, func(b *testing.B) {
			x, done := make(chan int, size), make(chan bool)
			go func() {
				for range x {
				}
				close(done)
			}()
			for b.Loop() {
				x <- 1
			}
			close(x)
			<-done
		})
		b.Run("csp "+name, func(b *testing.B) {
			b.ReportAllocs()
			onWorkers(b, 1, func(e *executor.Executor) {
				x := New[int](size)
				e.Workers()[0].Go(func() {
					for range x.Range() {
					}
				})
				for b.Loop() {
					x.Send(1)
				}
				x.Close()
			})
		})
	}
}

const producers = 8

func BenchmarkMPSC(b *testing.B) {
	b.Run("go", func(b *testing.B) {
		x := make(chan int, 128)
		var g sync.WaitGroup
		for p := range producers {
			g.Go(func() {
				for i := p; i < b.N; i += producers {
					x <- i
				}
			})
		}
		go func() { g.Wait(); close(x) }()
		for range x {
		}
	})
	for _, workers := range []int{0, 1, 2} {
		b.Run([]string{"csp goroutines", "csp 1 worker", "csp 2 workers"}[workers], func(b *testing.B) {
			b.ReportAllocs()
			onWorkers(b, max(workers, 1), func(e *executor.Executor) {
				x := New[int](128)
				var g sync.WaitGroup
				g.Add(producers)
				for p := range producers {
					f := func() {
						defer g.Done()
						for i := p; i < b.N; i += producers {
							x.Send(i)
						}
					}
					if workers == 0 {
						go f()
					} else {
						e.Workers()[p%workers].Go(f)
					}
				}
				go func() { g.Wait(); x.Close() }()
				if workers == 0 {
					done := make(chan bool)
					go func() {
						for range x.Range() {
						}
						close(done)
					}()
					<-done
					return
				}
				for range x.Range() {
				}
			})
		})
	}
}

func BenchmarkSelect4(b *testing.B) {
	b.Run("go", func(b *testing.B) {
		var c [4]chan int
		for i := range c {
			c[i] = make(chan int, 1)
		}
		i := 0
		for b.Loop() {
			c[i&3] <- i
			i++
			select {
			case <-c[0]:
			case <-c[1]:
			case <-c[2]:
			case <-c[3]:
			}
		}
	})
	b.Run("csp", func(b *testing.B) {
		b.ReportAllocs()
		onWorkers(b, 1, func(e *executor.Executor) {
			var c [4]*Chan[int]
			for i := range c {
				c[i] = New[int](1)
			}
			i := 0
			v := new(int)
			for b.Loop() {
				c[i&3].Send(i)
				i++
				Select(context.Background(), Recv(c[0], v), Recv(c[1], v), Recv(c[2], v), Recv(c[3], v))
			}
		})
	})
}

// The same when the select has to wait each time.
func BenchmarkSelect4Waiting(b *testing.B) {
	b.Run("go", func(b *testing.B) {
		var c [4]chan int
		for i := range c {
			c[i] = make(chan int)
		}
		done := make(chan bool)
		back := make(chan int)
		go func() {
			for i := 0; ; i++ {
				select {
				case c[i&3] <- i:
					<-back
				case <-done:
					return
				}
			}
		}()
		for b.Loop() {
			select {
			case <-c[0]:
			case <-c[1]:
			case <-c[2]:
			case <-c[3]:
			}
			back <- 1
		}
		close(done)
	})
	b.Run("csp", func(b *testing.B) {
		b.ReportAllocs()
		onWorkers(b, 1, func(e *executor.Executor) {
			var c [4]*Chan[int]
			for i := range c {
				c[i] = New[int](0)
			}
			done, back := New[int](0), New[int](0)
			e.Workers()[0].Go(func() {
				v, none := new(int), new(int)
				for i := 0; ; i++ {
					if k, _ := Select(context.Background(), Send(c[i&3], v), Recv(done, none)); k == 1 {
						return
					}
					back.Recv()
				}
			})
			v := new(int)
			for b.Loop() {
				Select(context.Background(), Recv(c[0], v), Recv(c[1], v), Recv(c[2], v), Recv(c[3], v))
				back.Send(1)
			}
			done.Close()
		})
	})
}
