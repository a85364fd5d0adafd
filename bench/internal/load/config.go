package load

import (
	"fmt"
	"net/netip"
	"time"
)

// Scenario is the kind of load.
type Scenario string

const (
	// Echo sends messages and awaits each one's echo.
	Echo Scenario = "echo"
	// Sink writes as fast as the server takes; nothing comes back.
	Sink Scenario = "sink"
	// Idle opens connections, has each echo one message, and then leaves them alone.
	Idle Scenario = "idle"
)

// Scenarios lists every scenario.
var Scenarios = []Scenario{Echo, Sink, Idle}

// Limits of Config.
const (
	MinSize  = 8
	MaxSize  = 1 << 20
	MaxConns = 1 << 20
	MaxDepth = 1 << 12
)

// Config describes one measurement. All fields but ServerPID and Stall are required.
type Config struct {
	// Addr is the server's IPv4 address and port.
	Addr string
	// ServerPID is the process whose CPU time and memory are read; with 0 they are reported as 0.
	ServerPID int
	// Scenario is the kind of load.
	Scenario Scenario
	// Conns is the number of connections, 1 to MaxConns.
	Conns int
	// Size is the length of a message (Echo, Idle) or of a write (Sink) in bytes, MinSize to MaxSize.
	Size int
	// Pipeline is the number of messages that each connection keeps in flight (Echo), 1 to MaxDepth.
	Pipeline int
	// Warmup comes before the measured window: Idle lets the server settle for that long.
	Warmup time.Duration
	// Window is how long is measured, > 0.
	Window time.Duration
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
	case c.Scenario != Echo && c.Scenario != Sink && c.Scenario != Idle:
		return fmt.Errorf("load: scenario %q is none of %v", c.Scenario, Scenarios)
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

// Result is what one measurement found. Durations are in nanoseconds.
type Result struct {
	// Requests and Bytes are what was echoed (Echo) or taken by the server (Sink, bytes only) in the window.
	Requests uint64 `json:"requests,omitempty"`
	Bytes    uint64 `json:"bytes,omitempty"`
	// TotalRequests counts from the first connection on, warm-up included.
	TotalRequests uint64 `json:"totalRequests,omitempty"`
	WindowNs      int64  `json:"windowNs"`
	ServerCPUNs   int64  `json:"serverCpuNs"`
	LoadCPUNs     int64  `json:"loadCpuNs"`
	// Latency from write to the complete echo (Echo).
	P50Ns int64 `json:"p50Ns,omitempty"`
	P99Ns int64 `json:"p99Ns,omitempty"`
	MaxNs int64 `json:"maxNs,omitempty"`
	// Memory added by Conns connections (Idle), in bytes.
	PSSBytes int64 `json:"pssBytes,omitempty"`
	RSSBytes int64 `json:"rssBytes,omitempty"`
}
