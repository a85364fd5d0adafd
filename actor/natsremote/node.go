package natsremote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Config configures a Node. The zero value starts a server in this process.
type Config struct {
	// URL is the server to use, such as nats://10.0.0.1:4222. "" means one in this process.
	URL string
	// Host and Port are where a server in this process listens: 127.0.0.1 when "", and a free port when 0. It takes connections
	// from other machines by 0.0.0.0 or ::, which Node.URL shows too: they need a name or address of this machine in its place.
	Host string
	Port int
	// Prefix stands before the names of actors in subjects; "" means "ouro.actor". Nodes that are to meet have the same.
	Prefix string
	// Options are further options of the connection: credentials, TLS, a dialer. nats.DrainTimeout among them is how long Close
	// waits for mailboxes, 30 s by default.
	Options []nats.Option
}

// Node is a process's connection to the others. All methods are safe from any goroutine.
type Node struct {
	conn   *nats.Conn
	own    *server.Server
	url    string // what was configured, or that of own
	prefix string
	inbox  inbox

	mu      sync.Mutex
	exposed map[*nats.Subscription]bool // with whether it drains; nil once Close has begun

	closing sync.Once
	closed  error // what Close returns
}

// Connect joins the nodes. It fails when the server cannot be started or reached; later it comes back by itself.
func Connect(c Config) (*Node, error) {
	if c.Prefix == "" {
		c.Prefix = "ouro.actor"
	}
	if err := checkName(c.Prefix); err != nil {
		return nil, err
	}
	if c.URL != "" && (c.Host != "" || c.Port != 0) {
		return nil, errors.New("natsremote: Config.URL excludes Host and Port, which are for a server in this process")
	}
	if c.Port < 0 || c.Port > 65535 {
		return nil, fmt.Errorf("natsremote: Config.Port is %d: use 1 to 65535, or 0 for a free one", c.Port)
	}
	n := &Node{prefix: c.Prefix, exposed: map[*nats.Subscription]bool{}}
	if c.URL == "" {
		s, err := startServer(c.Host, c.Port)
		if err != nil {
			return nil, err
		}
		n.own, c.URL = s, s.ClientURL()
	}
	options := append([]nats.Option{
		nats.Name("ouro actor node"), nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 0),
	}, c.Options...)
	n.url = c.URL
	conn, err := nats.Connect(c.URL, options...)
	if err != nil {
		n.stopServer()
		return nil, fmt.Errorf("natsremote: %s: %w", c.URL, err)
	}
	n.conn = conn
	return n, nil
}

// URL is the address that other nodes connect to: of the server in this process; otherwise of the one in use, and Config.URL while
// there is none, since "" would have another node start a server of its own.
func (n *Node) URL() string {
	if n.own == nil {
		if u := n.conn.ConnectedUrl(); u != "" {
			return u
		}
	}
	return n.url
}

// Flush waits until the server has what was told until now.
func (n *Node) Flush(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		ctx = limited
	}
	return n.conn.FlushWithContext(ctx)
}

// maxName bounds the bytes of a name and of a prefix. Servers end the connection of who sends a longer line than they take,
// which is 4 KiB by default, and for good.
const maxName = 1024

// ErrName means that a name cannot be part of a subject.
var ErrName = errors.New("natsremote: a name must not be empty, longer than 1024 bytes, nor contain spaces, '*', '>' or empty parts between dots")

func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("%w: %q… has %d bytes", ErrName, name[:20], len(name))
	}
	if name == "" || strings.ContainsAny(name, " \t\r\n*>") || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}

func (n *Node) subject(name string) string { return n.prefix + "." + name }
