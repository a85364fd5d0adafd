package contestant

import (
	"context"
	"net"

	"github.com/ouro-io/ouro/bench/internal/load"
	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/proactor"
)

// Environments that force a backend. Forcing makes a backend that cannot start an error, so that a figure never
// stands for the other backend.
var (
	onUring = []string{proactor.BackendEnv + "=uring"}
	onEpoll = []string{proactor.BackendEnv + "=epoll"}
)

// ouro lists the engine's faces.
func ouro() []*Contestant {
	// The lease handler differs where memory matters; in the others it is on demand.
	memory := []load.Scenario{load.Idle}
	sink := []load.Scenario{load.Sink, load.Idle}
	return []*Contestant{
		{Name: "ouro-serve", About: "ouro Serve, io_uring: a coroutine and a 4 KiB buffer per connection",
			Env: onUring, Serve: serveOuro},
		{Name: "ouro-serve-epoll", About: "the same handler on the epoll backend", Env: onEpoll, Serve: serveOuro},
		{Name: "ouro-serve-lease", About: "ouro Serve, io_uring, with leases in place of a buffer of its own",
			Env: onUring, DefaultIn: sink, Serve: serveOuroLease},
		{Name: "ouro-callbacks", About: "ouro callbacks, io_uring: no stack per connection", Env: onUring,
			Serve: serveOuroCallbacks},
		{Name: "ouro-callbacks-epoll", About: "ouro callbacks on the epoll backend", Env: onEpoll, DefaultIn: memory,
			Serve: serveOuroCallbacks},
		{Name: "ouro-goroutines", About: "ouro connections used by ordinary goroutines, io_uring", Env: onUring,
			Serve: serveOuroGoroutines},
		{Name: "ouro-goroutines-epoll", About: "the same on the epoll backend", Env: onEpoll, DefaultIn: []load.Scenario{},
			Serve: serveOuroGoroutines},
	}
}

// listenStd opens the listener that the engine takes connections from.
func listenStd() (*net.TCPListener, error) {
	return net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// countOuro has the engine's system calls reported. Only io_uring counts all of them: a reactor, and an ordinary
// goroutine that writes, also call the socket directly.
func countOuro(o Options, e *proactor.Engine) {
	if e.Info().Backend != proactor.IOUring {
		return
	}
	o.AtExit(func() Stats { return Stats{Syscalls: e.Stats().Backend.Syscalls} })
}

// serveOuroCallbacks echoes the leases that data arrives in.
func serveOuroCallbacks(o Options) error {
	e, err := proactor.Default()
	if err != nil {
		return err
	}
	l, err := listenStd()
	if err != nil {
		return err
	}
	echo := func(c *proactor.Conn, d buffers.Lease) {
		if c.Send(d) != nil {
			c.Close()
		}
	}
	if o.Sink {
		echo = func(_ *proactor.Conn, d buffers.Lease) { d.Release() }
	}
	a, err := e.Serve(l, proactor.Handler{OnData: echo})
	if err != nil {
		return err
	}
	countOuro(o, e)
	o.Ready(l.Addr().String())
	return a.Wait(context.Background())
}

// leaser is what a connection offers besides Read and Write.
type leaser interface {
	ReadLease() (buffers.Lease, error)
	WriteLease(buffers.Lease) error
}

// echoLeases is the straight-line handler without a buffer of its own.
func echoLeases(c leaser, sink bool) {
	for {
		d, err := c.ReadLease()
		if err != nil {
			return
		}
		if sink {
			d.Release()
		} else if c.WriteLease(d) != nil {
			return
		}
	}
}
