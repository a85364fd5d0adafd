// Command gnet serves with github.com/panjf2000/gnet.
package main

import (
	"net"
	"os"
	"runtime"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/panjf2000/gnet/v2/pkg/pool/goroutine"

	"github.com/ouro-io/ouro/bench/protocol"
)

func main() {
	serve := map[protocol.Role]func(*protocol.Server) error{}
	for _, r := range []protocol.Role{protocol.Echo, protocol.Sink, protocol.HTTP, protocol.UDP, protocol.Broadcast,
		protocol.Work, protocol.Block} {
		serve[r] = run
	}
	os.Exit(protocol.Program{Serve: serve}.Main(os.Args[1:]))
}

func run(s *protocol.Server) error {
	h := &handler{s: s, subscribers: map[gnet.Conn]struct{}{}}
	proto, loops := "tcp4", runtime.GOMAXPROCS(0)
	if s.Role == protocol.UDP {
		proto = "udp4"
	}
	if s.Role == protocol.Broadcast {
		loops = 1 // the list of subscribers then needs no lock
	}
	if s.Role != protocol.Block {
		// The pool ticks twice a second as soon as it is linked, and is not needed otherwise.
		goroutine.DefaultWorkerPool.Release()
	}
	err := gnet.Run(h, proto+"://127.0.0.1:0", gnet.WithNumEventLoop(loops), gnet.WithLogLevel(logging.FatalLevel))
	if h.failed != nil {
		return h.failed
	}
	return err
}

type handler struct {
	gnet.BuiltinEventEngine
	s *protocol.Server
	// failed is why the engine was stopped at boot.
	failed error
	// subscribers belongs to the only event loop there is then.
	subscribers map[gnet.Conn]struct{}
}

// OnBoot finds out which port was given.
func (h *handler) OnBoot(eng gnet.Engine) gnet.Action {
	addr, err := address(eng, h.s.Role == protocol.UDP)
	if err != nil {
		h.failed = err
		return gnet.Shutdown
	}
	h.s.Ready(addr)
	return gnet.None
}

func address(eng gnet.Engine, udp bool) (string, error) {
	fd, err := eng.Dup()
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), "gnet listener")
	defer f.Close()
	if udp {
		c, err := net.FilePacketConn(f)
		if err != nil {
			return "", err
		}
		defer c.Close()
		return c.LocalAddr().String(), nil
	}
	l, err := net.FileListener(f)
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (h *handler) OnClose(c gnet.Conn, _ error) gnet.Action {
	if h.s.Role == protocol.Broadcast {
		delete(h.subscribers, c)
	}
	return gnet.None
}

func (h *handler) OnTraffic(c gnet.Conn) gnet.Action {
	b, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	switch h.s.Role {
	case protocol.Sink:
		return gnet.None
	case protocol.HTTP:
		return h.http(c, b)
	case protocol.Broadcast:
		return h.broadcast(c, b)
	case protocol.Block:
		return h.block(c, b)
	case protocol.Work:
		h.s.Message(b)
	}
	if _, err := c.Write(b); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// http keeps what is not a whole request with the connection.
func (h *handler) http(c gnet.Conn, b []byte) gnet.Action {
	if rest, _ := c.Context().([]byte); len(rest) > 0 {
		b = append(rest, b...)
	}
	out, used := protocol.Answers(nil, b)
	c.SetContext(append([]byte(nil), b[used:]...))
	if _, err := c.Write(out); err != nil {
		return gnet.Close
	}
	return gnet.None
}

func (h *handler) broadcast(c gnet.Conn, b []byte) gnet.Action {
	if _, ok := h.subscribers[c]; !ok {
		h.subscribers[c] = struct{}{}
		if _, err := c.Write(b); err != nil {
			return gnet.Close
		}
		return gnet.None
	}
	for s := range h.subscribers {
		if _, err := s.Write(b); err != nil {
			delete(h.subscribers, s)
		}
	}
	return gnet.None
}

// block hands messages that block to gnet's pool, as its documentation says.
func (h *handler) block(c gnet.Conn, b []byte) gnet.Action {
	if !protocol.Blocks(b) {
		if _, err := c.Write(b); err != nil {
			return gnet.Close
		}
		return gnet.None
	}
	m := append([]byte(nil), b...)
	err := goroutine.DefaultWorkerPool.Submit(func() {
		h.s.Message(m)
		c.AsyncWrite(m, nil) //nolint:errcheck // the connection is gone then
	})
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}
