package load

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ouro-io/ouro/bench/protocol"
)

// Kind is the kind of load.
type Kind string

const (
	// Echo sends messages and awaits each one's echo: closed loop, or open with Config.Rate.
	Echo Kind = "echo"
	// HTTP sends requests and awaits each one's answer, likewise.
	HTTP Kind = "http"
	// Sink writes as fast as the server takes; nothing comes back.
	Sink Kind = "sink"
	// Churn opens a connection, has it echo one message, closes it, and begins again.
	Churn Kind = "churn"
	// Idle opens connections, has each echo one message, and then leaves them alone.
	Idle Kind = "idle"
	// Broadcast sends messages on one connection and awaits each on all.
	Broadcast Kind = "broadcast"
	// UDP sends datagrams and awaits each one's echo; those that do not come back are sent again.
	UDP Kind = "udp"
	// Skew is Echo on every second connection only, the others idle: a server that has spread its connections over two
	// workers has all work on one.
	Skew Kind = "skew"
	// Block is Echo, but the latency recorded is that of messages for which the server need not block.
	Block Kind = "block"
)

// Kinds lists every kind.
var Kinds = []Kind{Echo, HTTP, Sink, Churn, Idle, Broadcast, UDP, Skew, Block}

// Limits of Config.
const (
	MinSize  = 8
	MaxSize  = 1 << 20
	MaxConns = 1 << 20
	MaxDepth = 1 << 12
	// MaxDatagram is what fits into a UDP datagram over IPv4.
	MaxDatagram = 65507
)

// Config describes one measurement. All fields but ServerPID, Rate, CountSyscalls and Stall are required.
type Config struct {
	// Addr is the server's IPv4 address and port.
	Addr string
	// ServerPID is the process whose CPU time and memory are read; with 0 they are reported as 0.
	ServerPID int
	// Kind is the kind of load.
	Kind Kind
	// Conns is the number of connections, 1 to MaxConns.
	Conns int
	// Size is the length of a message or of a write (Sink) in bytes, MinSize to MaxSize. HTTP does not look at it.
	Size int
	// Pipeline is the number of messages that each connection keeps in flight, 1 to MaxDepth; in an open loop the
	// most that it may have in flight.
	Pipeline int
	// Rate makes the loop an open one (Echo, HTTP): so many requests are due per second, evenly, whether answers come
	// or not, and a request's latency counts from when it was due. 0: closed loop.
	Rate int
	// Warmup comes before the measured window: Idle lets the server settle for that long.
	Warmup time.Duration
	// Window is how long is measured, > 0.
	Window time.Duration
	// CountSyscalls has the kernel count the server's system calls, which needs root, tracefs and a kernel with
	// CONFIG_FTRACE_SYSCALLS, and slows each call down a little.
	CountSyscalls bool
	// Stall is how long nothing may come back before the server counts as hung. Default 5 s.
	Stall time.Duration
}

func (c *Config) check() error {
	ap, err := netip.ParseAddrPort(c.Addr)
	switch {
	case err != nil:
		return fmt.Errorf("load: address %q: %w", c.Addr, err)
	case !ap.Addr().Is4():
		return fmt.Errorf("load: address %q is not IPv4; give one like 127.0.0.1:7000", c.Addr)
	case !slices.Contains(Kinds, c.Kind):
		return fmt.Errorf("load: kind %q is none of %v", c.Kind, Kinds)
	case c.Kind == UDP && c.Size > MaxDatagram:
		return fmt.Errorf("load: datagrams of %d bytes; give at most %d", c.Size, MaxDatagram)
	case c.Rate < 0 || c.Rate > 0 && c.Kind != Echo && c.Kind != HTTP:
		return fmt.Errorf("load: rate %d for kind %s; give 0, or a positive one for echo or http", c.Rate, c.Kind)
	case c.Conns < 1 || c.Conns > MaxConns:
		return fmt.Errorf("load: %d connections; give 1 to %d", c.Conns, MaxConns)
	case c.Size < MinSize || c.Size > MaxSize:
		return fmt.Errorf("load: message size %d; give %d to %d bytes", c.Size, MinSize, MaxSize)
	case c.Pipeline < 1 || c.Pipeline > MaxDepth:
		return fmt.Errorf("load: pipeline depth %d; give 1 to %d", c.Pipeline, MaxDepth)
	case c.Warmup < 0 || c.Window <= 0 || c.Stall < 0:
		return fmt.Errorf("load: warm-up %v, window %v, stall %v; the window must be > 0, the others not negative",
			c.Warmup, c.Window, c.Stall)
	}
	if c.Stall == 0 {
		c.Stall = 5 * time.Second
	}
	return nil
}

// Result is what one measurement found.
type Result = protocol.Result
