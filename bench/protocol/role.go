package protocol

// Role is what a contestant is asked to be.
type Role string

// Servers. Messages are Size bytes where a server must know their length (argument size=).
const (
	// Echo sends back what comes in.
	Echo Role = "echo"
	// Sink drops what comes in.
	Sink Role = "sink"
	// HTTP answers every request with PlainText, keep-alive and pipelining included.
	HTTP Role = "http"
	// UDP sends each datagram back to where it came from.
	UDP Role = "udp"
	// Broadcast answers the first message of each connection to that connection alone, which subscribes it, and
	// sends every later message of anybody to all subscribers, the sender included.
	Broadcast Role = "broadcast"
	// Proxy connects to upstream= for each connection and copies in both directions.
	Proxy Role = "proxy"
	// Work echoes each message after Burn.
	Work Role = "work"
	// Block echoes, and waits BlockTime before every message for which Blocks reports true.
	Block Role = "block"
)

// Jobs: programs that measure themselves.
const (
	// File reads blocks of a file.
	File Role = "file"
	// Timers arms timers and waits for all of them.
	Timers Role = "timers"
)

// PlainText is the body of every HTTP answer.
const PlainText = "Hello, World!"
