package net

import (
	"context"
	"errors"
	"log"
	"net/netip"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// Packet is one datagram in the hands of a handler of ServePacket. It and its bytes are valid until the handler returns.
type Packet struct {
	// Data is the datagram.
	Data []byte
	// From is who sent it.
	From netip.AddrPort
	// Truncated says that the datagram was longer than the memory for it (proactor.Config.Buffers), and Data is its
	// beginning.
	Truncated bool

	reply replier
}

// replier is what answers a packet.
type replier interface {
	reply(p *Packet, b []byte) error
}

// Reply sends b to who sent the packet, and does not wait: b is copied, and goes out together with what else the worker
// sends in its turn. What the kernel refuses later is lost, like any datagram; the error says what is known now. On a
// socket that is not on the engine it is WriteTo.
func (p *Packet) Reply(b []byte) error { return p.reply.reply(p, b) }

// PacketServer has the options of serving datagrams. The zero value, with a Handler, works.
type PacketServer struct {
	// Handler is called for each datagram, on a coroutine of the engine. Needed. What a handler of Serve must not do, it
	// must not do either.
	Handler func(*Packet)
	// Concurrency bounds how many handlers may be inside at a time. Handlers that do not wait run one after the other, in
	// the order of arrival; one that waits lets the next begin, up to this number. 1 keeps the order in any case.
	// Default 256; at least 1.
	Concurrency int
	// Goroutines runs the handlers on ordinary goroutines, as ServeConfig.Goroutines. Default: coroutines.
	Goroutines bool
	// GRO has the kernel join datagrams that arrive together (UDPConn.SetGRO); handlers see them one by one. Off by
	// default, as it gains nothing for small ones from many senders.
	GRO bool
}

const defaultConcurrency = 256

var (
	errNoHandler   = errors.New("net: PacketServer without a Handler")
	errConcurrency = errors.New("net: PacketServer.Concurrency is negative: use 1 or more, or 0 for the default 256")
)

// ServePacket calls handler for each datagram that arrives at c, until c is closed; it is PacketServer.Serve with the
// default options.
func ServePacket(c PacketConn, handler func(*Packet)) error {
	return PacketServer{Handler: handler}.Serve(context.Background(), c)
}

// checked returns s with its defaults.
func (s PacketServer) checked() (PacketServer, error) {
	switch {
	case s.Handler == nil:
		return s, errNoHandler
	case s.Concurrency < 0:
		return s, errConcurrency
	case s.Concurrency == 0:
		s.Concurrency = defaultConcurrency
	}
	return s, nil
}

// onGoroutines serves c, whatever it is, with ReadFrom and WriteTo: a goroutine reads and hands over, as many as
// Concurrency at a time.
func (s PacketServer) onGoroutines(ctx context.Context, c PacketConn) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	// Goroutines that all read: who has read a datagram serves it, while the next one reads.
	for range min(s.Concurrency, goroutineReaders) {
		wg.Go(func() {
			select {
			case errs <- s.readLoop(c):
			default:
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return <-errs
}

// memoryPause is how long serving rests when the kernel has no memory for what arrives.
const memoryPause = 5 * time.Millisecond

// passes reports whether an error of reading is one that the socket outlives: of an earlier answer, such as ECONNREFUSED, or a
// lack of memory, for which it waits.
func passes(err error, sleep func(time.Duration)) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EBADF, syscall.EFAULT, syscall.EINVAL, syscall.ENOTSOCK:
		return false
	case syscall.ENOMEM, syscall.ENOBUFS:
		sleep(memoryPause)
		return true
	}
	return !errno.Timeout()
}

// goroutineReaders is how many goroutines read from one socket at most: a handler that waits keeps one, with its buffer.
const goroutineReaders = 16

func (s PacketServer) readLoop(c PacketConn) error {
	buf := make([]byte, 64<<10)
	var p Packet
	for {
		n, from, err := readPacket(c, buf)
		if err != nil {
			if passes(err, time.Sleep) {
				continue
			}
			return err
		}
		p = Packet{Data: buf[:n], From: from, reply: plainReplier{c}}
		s.call(&p)
	}
}

// call contains a panic of the handler.
func (s PacketServer) call(p *Packet) {
	defer func() {
		if v := recover(); v != nil {
			log.Printf("ouro: panic in a packet handler: %v\n%s", v, debug.Stack())
		}
	}()
	s.Handler(p)
}

// addrPortReader is what a UDP socket has for reading without allocation.
type addrPortReader interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
}

func readPacket(c PacketConn, b []byte) (int, netip.AddrPort, error) {
	if u, ok := c.(addrPortReader); ok {
		return u.ReadFromUDPAddrPort(b)
	}
	n, a, err := c.ReadFrom(b)
	if u, ok := a.(*UDPAddr); ok && u != nil {
		return n, u.AddrPort(), err
	}
	return n, netip.AddrPort{}, err
}

// plainReplier answers by WriteTo.
type plainReplier struct{ c PacketConn }

func (r plainReplier) reply(p *Packet, b []byte) error {
	var err error
	if u, ok := r.c.(interface {
		WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	}); ok {
		_, err = u.WriteToUDPAddrPort(b, p.From)
	} else {
		_, err = r.c.WriteTo(b, UDPAddrFromAddrPort(p.From))
	}
	return err
}
