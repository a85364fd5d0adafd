package contestant

import (
	"context"
	"net"
	"net/http"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/buffers"
	onet "github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// Environments that force a backend. Forcing makes a backend that cannot start an error, so that a figure never
// stands for the other backend.
var (
	onUring = []string{proactor.BackendEnv + "=uring"}
	onEpoll = []string{proactor.BackendEnv + "=epoll"}
)

type (
	servers = map[protocol.Role]func(*protocol.Server) error
	jobs    = map[protocol.Role]func(protocol.Args) (protocol.Result, error)
)

// ouro lists the engine's faces.
func ouro() []*Contestant {
	serve := servers{protocol.Echo: serveOuro, protocol.Sink: serveOuro, protocol.Work: serveOuro, protocol.Block: serveOuro,
		protocol.Broadcast: serveOuroBroadcast, protocol.Proxy: ouroProxy(plainCopy), protocol.UDP: serveOuroPackets}
	lease := servers{protocol.Echo: serveOuroLease, protocol.Sink: serveOuroLease, protocol.Proxy: ouroProxy(leaseCopy)}
	callbacks := servers{protocol.Echo: serveOuroCallbacks, protocol.Sink: serveOuroCallbacks,
		protocol.Work: serveOuroCallbacks, protocol.HTTP: serveOuroCallbacks}
	goroutines := servers{protocol.Echo: serveOuroGoroutines, protocol.Sink: serveOuroGoroutines,
		protocol.Work: serveOuroGoroutines, protocol.Block: serveOuroGoroutines, protocol.HTTP: serveOuroHTTP,
		protocol.UDP: serveOuroUDP, protocol.Proxy: serveOuroGoroutinesProxy}
	return []*Contestant{
		own("ouro-serve", "ouro Serve, io_uring: a coroutine and a 4 KiB buffer per connection; timers of the executor",
			onUring, serve, jobs{protocol.Timers: ouroTimers}),
		own("ouro-serve-epoll", "the same handler on the epoll backend", onEpoll, serve, nil),
		own("ouro-serve-lease", "ouro Serve, io_uring, with leases in place of a buffer of its own", onUring, lease, nil),
		own("ouro-serve-nosteal", "ouro Serve, io_uring, without work stealing", onUring,
			servers{protocol.Work: serveOuroNoSteal}, nil),
		own("ouro-callbacks", "ouro callbacks, io_uring: no stack per connection", onUring, callbacks, nil),
		own("ouro-callbacks-epoll", "ouro callbacks on the epoll backend", onEpoll, callbacks, nil),
		own("ouro-goroutines", "package net's API on ouro, used by ordinary goroutines, io_uring", onUring, goroutines, nil),
		own("ouro-goroutines-epoll", "the same on the epoll backend", onEpoll, goroutines, nil),
		own("ouro-broadcast", "ouro Serve with net.Broadcast: one lease to all in one system call", onUring,
			servers{protocol.Broadcast: serveOuroShared}, nil),
		own("ouro-iocopy", "a proxy of io.Copy inside ouro Serve, io_uring: leases, and splice for bulk", onUring,
			servers{protocol.Proxy: ouroProxy(ioCopy)}, nil),
		own("ouro-batch", "datagrams by ReadBatch and WriteBatch on one goroutine", onUring,
			servers{protocol.UDP: serveOuroBatch}, nil),
		own("std-copy", "a proxy on package net that copies instead of splicing", nil,
			servers{protocol.Proxy: serveStdProxyCopy}, nil),
	}
}

// countOuro has the engine's system calls reported. Only io_uring counts all of them: a reactor, and an ordinary
// goroutine that writes, also call the socket directly.
func countOuro(s *protocol.Server, e *proactor.Engine) {
	if e.Info().Backend != proactor.IOUring {
		return
	}
	s.AtExit(func() protocol.Stats { return protocol.Stats{Syscalls: e.Stats().Backend.Syscalls} })
}

// serveOuroCallbacks works on the leases that data arrives in.
func serveOuroCallbacks(s *protocol.Server) error {
	e, err := proactor.Default()
	if err != nil {
		return err
	}
	l, err := listenStd(s)
	if err != nil {
		return err
	}
	echo := func(c *proactor.Conn, d buffers.Lease) {
		s.Message(d.Bytes())
		if c.Send(d) != nil {
			c.Close()
		}
	}
	switch s.Role {
	case protocol.Sink:
		echo = func(_ *proactor.Conn, d buffers.Lease) { d.Release() }
	case protocol.HTTP:
		pool, err := buffers.NewPool(buffers.PoolConfig{})
		if err != nil {
			return err
		}
		echo = answerCallback(pool)
	}
	// A client that sends more than the queue of a connection holds before it reads must wait, as a blocking server has it wait.
	a, err := e.Serve(l, proactor.Handler{OnData: echo, OnBacklog: func(c *proactor.Conn, long bool) {
		if long {
			c.PauseRead()
		} else {
			c.ResumeRead()
		}
	}})
	if err != nil {
		return err
	}
	countOuro(s, e)
	return a.Wait(context.Background())
}

func serveOuro(s *protocol.Server) error {
	return serveNet(s, func(c net.Conn) { s.Handle(c) })
}

func serveOuroLease(s *protocol.Server) error {
	return serveNet(s, func(c net.Conn) { echoLeases(c.(leaser), s.Role == protocol.Sink) })
}

func serveOuroBroadcast(s *protocol.Server) error {
	h := newHub()
	return serveNet(s, func(c net.Conn) { h.serve(c, s.BufferSize()) })
}

// serveOuroShared is the broadcast without a copy, or a write, for each.
func serveOuroShared(s *protocol.Server) error {
	h := newHub()
	return serveNet(s, func(c net.Conn) {
		t := c.(*onet.TCPConn)
		d, err := t.ReadLease()
		if err != nil {
			return
		}
		leave := h.enter(c)
		defer leave()
		if t.WriteLease(d) != nil {
			return
		}
		for {
			d, err := t.ReadLease()
			if err != nil {
				return
			}
			for _, slow := range onet.Broadcast(d, h.list()) {
				slow.Conn.Close()
			}
		}
	})
}

func serveOuroNoSteal(s *protocol.Server) error {
	e, err := proactor.New(proactor.Config{NoSteal: true})
	if err != nil {
		return err
	}
	l, err := onet.On(e).Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(l.Addr().String())
	return onet.On(e).Serve(l, func(c net.Conn) { s.Handle(c) })
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

func listenOuro(s *protocol.Server) (net.Listener, error) {
	l, err := onet.Listen("tcp4", "127.0.0.1:0")
	if err == nil {
		s.Ready(l.Addr().String())
	}
	return l, err
}

func serveNet(s *protocol.Server, handle func(net.Conn)) error {
	e, err := proactor.Default()
	if err != nil {
		return err
	}
	countOuro(s, e)
	l, err := listenOuro(s)
	if err != nil {
		return err
	}
	return onet.Serve(l, func(c net.Conn) {
		defer c.Close()
		handle(c)
	})
}

// serveOuroGoroutines is what a program becomes whose import line alone was changed.
func serveOuroGoroutines(s *protocol.Server) error {
	l, err := listenOuro(s)
	if err != nil {
		return err
	}
	return goEach(l, func(c net.Conn) { s.Handle(c) })
}

func serveOuroGoroutinesProxy(s *protocol.Server) error {
	l, err := listenOuro(s)
	if err != nil {
		return err
	}
	return goEach(l, func(c net.Conn) {
		up, err := onet.Dial("tcp4", s.Upstream)
		if err != nil {
			return
		}
		both(c, up, func(f func()) { go f() }, ioCopy)
	})
}

func serveOuroHTTP(s *protocol.Server) error {
	l, err := listenOuro(s)
	if err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(plainText))
}

func serveOuroUDP(s *protocol.Server) error {
	c, err := new(onet.ListenConfig).ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(c.LocalAddr().String())
	return echoDatagrams(c.(*onet.UDPConn))
}

// serveOuroPackets answers on the engine's coroutines.
func serveOuroPackets(s *protocol.Server) error {
	c, err := new(onet.ListenConfig).ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(c.LocalAddr().String())
	return onet.ServePacket(c, func(p *onet.Packet) { _ = p.Reply(p.Data) })
}

// serveOuroBatch answers all that has come together.
func serveOuroBatch(s *protocol.Server) error {
	l, err := new(onet.ListenConfig).ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Ready(l.LocalAddr().String())
	c := l.(*onet.UDPConn)
	bufs, in := make([][]byte, 64), make([]onet.Message, 64)
	for i := range bufs {
		bufs[i] = make([]byte, 2048)
	}
	for {
		for i := range in {
			in[i] = onet.Message{Buffers: bufs[i : i+1]}
		}
		n, err := c.ReadBatch(in, 0)
		if err != nil {
			return err
		}
		for i := range in[:n] {
			in[i].Buffers = [][]byte{bufs[i][:in[i].N]}
		}
		for done := 0; done < n; {
			m, err := c.WriteBatch(in[done:n], 0)
			if err != nil {
				return err
			}
			done += m
		}
	}
}
