// Command gain serves with github.com/pawelgaczynski/gain, which reaches into package syscall by linkname: build it with
// -ldflags=-checklinkname=0.
package main

import (
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/pawelgaczynski/gain"
	"github.com/rs/zerolog"

	"github.com/ouro-io/ouro/bench/protocol"
)

func main() {
	serve := map[protocol.Role]func(*protocol.Server) error{}
	for _, r := range []protocol.Role{protocol.Echo, protocol.Sink, protocol.HTTP, protocol.UDP, protocol.Work} {
		serve[r] = run
	}
	os.Exit(protocol.Program{Serve: serve}.Main(os.Args[1:]))
}

type handler struct {
	gain.DefaultEventHandler
	s *protocol.Server
}

func run(s *protocol.Server) error {
	network := "tcp"
	if s.Role == protocol.UDP {
		network = "udp"
	}
	// gain does not tell which port it was given for 0.
	addr, err := protocol.FreeAddress(network)
	if err != nil {
		return err
	}
	go announce(s, network, addr)
	return gain.ListenAndServe(network+"://"+addr, &handler{s: s}, gain.WithWorkers(runtime.GOMAXPROCS(0)),
		gain.WithLoggerLevel(zerolog.FatalLevel))
}

// announce says that the server is ready when its port is taken: gain calls OnStart before it listens.
func announce(s *protocol.Server, network, addr string) {
	for !listening(network, addr) {
		time.Sleep(time.Millisecond)
	}
	s.Ready(addr)
}

func listening(network, addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	b, err := os.ReadFile("/proc/self/net/" + network)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		// tcp(5): local address and state; 0A is listening, 07 an unconnected UDP socket.
		if len(f) > 3 && strings.HasSuffix(f[1], ":"+hex(port)) && (f[3] == "0A" || f[3] == "07") {
			return true
		}
	}
	return false
}

// hex is a decimal port as /proc writes it.
func hex(port string) string {
	n := 0
	for _, c := range port {
		n = n*10 + int(c-'0')
	}
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[n>>12&15], digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}

func (h *handler) OnRead(c gain.Conn, n int) {
	b, err := c.Next(n)
	if err != nil {
		return
	}
	switch h.s.Role {
	case protocol.Sink:
		return
	case protocol.HTTP:
		if rest, _ := c.Context().([]byte); len(rest) > 0 {
			b = append(rest, b...)
		}
		out, used := protocol.Answers(nil, b)
		c.SetContext(append([]byte(nil), b[used:]...))
		c.Write(out) //nolint:errcheck // the connection is gone then
		return
	}
	h.s.Message(b)
	c.Write(b) //nolint:errcheck // the connection is gone then
}
