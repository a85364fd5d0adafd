package contestant

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/ouro-io/ouro/bench/protocol"
)

// std is package net as it is mostly used: a goroutine and a buffer per connection; net/http; os.File; package time.
func std(name string) *Contestant {
	about := "package net, a goroutine and a 4 KiB buffer per connection; net/http; os.File; package time"
	if name == Twin {
		about = "the same once more: its distance from std is noise"
	}
	return own(name, about, nil, map[protocol.Role]func(*protocol.Server) error{
		protocol.Echo:      serveStd,
		protocol.Sink:      serveStd,
		protocol.Work:      serveStd,
		protocol.Block:     serveStd,
		protocol.HTTP:      serveStdHTTP,
		protocol.UDP:       serveStdUDP,
		protocol.Broadcast: serveStdBroadcast,
		protocol.Proxy:     serveStdProxy,
	}, map[protocol.Role]func(protocol.Args) (protocol.Result, error){
		protocol.File:   readStd,
		protocol.Timers: stdTimers,
	})
}

func listenStd(s *protocol.Server) (*net.TCPListener, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err == nil {
		s.Ready(l.Addr().String())
	}
	return l, err
}

// goEach runs handle in a goroutine for each connection of l.
func goEach(l net.Listener, handle func(net.Conn)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			handle(c)
		}()
	}
}

func serveStd(s *protocol.Server) error {
	l, err := listenStd(s)
	if err != nil {
		return err
	}
	return goEach(l, func(c net.Conn) { s.Handle(c) })
}

func plainText(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Write([]byte(protocol.PlainText)) //nolint:errcheck // the client is gone then
}

func serveStdHTTP(s *protocol.Server) error {
	l, err := listenStd(s)
	if err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(plainText))
}

func serveStdUDP(s *protocol.Server) error {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	s.Ready(c.LocalAddr().String())
	return echoDatagrams(c)
}

// udpConn is package net's *UDPConn, or ours: what is compared makes the same calls.
type udpConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

func echoDatagrams[C udpConn](c C) error {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if _, err := c.WriteToUDPAddrPort(buf[:n], from); err != nil {
			return err
		}
	}
}

// hub is the list of subscribers of a broadcast.
type hub struct {
	mu  sync.RWMutex
	all map[net.Conn]struct{}
	// members is list's; nil when it is out of date.
	members []net.Conn
}

func newHub() *hub { return &hub{all: map[net.Conn]struct{}{}} }

// enter subscribes c until leave is called.
func (h *hub) enter(c net.Conn) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[c] = struct{}{}
	h.members = nil
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.all, c)
		h.members = nil
	}
}

// list is the subscribers, in a slice that is made anew when they change. It must not be written to.
func (h *hub) list() []net.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.members == nil {
		h.members = slices.Collect(maps.Keys(h.all))
	}
	return h.members
}

// serve answers c's first message, subscribes it, and publishes what it sends later.
func (h *hub) serve(c net.Conn, size int) {
	buf := make([]byte, size)
	n, err := c.Read(buf)
	if err != nil {
		return
	}
	leave := h.enter(c)
	defer leave()
	if _, err := c.Write(buf[:n]); err != nil {
		return
	}
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		h.mu.RLock()
		for to := range h.all {
			to.Write(buf[:n]) //nolint:errcheck // its own goroutine finds out
		}
		h.mu.RUnlock()
	}
}

func serveStdBroadcast(s *protocol.Server) error {
	l, err := listenStd(s)
	if err != nil {
		return err
	}
	h := newHub()
	return goEach(l, func(c net.Conn) { h.serve(c, s.BufferSize()) })
}

func readStd(a protocol.Args) (protocol.Result, error) {
	return protocol.ReadFile(a, func(f *os.File) func([]byte, int64) (int, error) { return f.ReadAt })
}
