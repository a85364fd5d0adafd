package natsremote

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTimeout is how long a server in this process may take to start.
const startTimeout = 10 * time.Second

func startServer(host string, port int) (*server.Server, error) {
	if host == "" {
		host = "127.0.0.1"
	}
	at := net.JoinHostPort(host, strconv.Itoa(port))
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: host, Port: port, NoLog: true, NoSigs: true})
	if err != nil {
		return nil, fmt.Errorf("natsremote: the server: %w", err)
	}
	refused := make(startErrors, 1)
	s.SetLoggerV2(refused, false, false, false)
	s.Start()
	select {
	case err = <-refused:
	default:
		if !s.ReadyForConnections(startTimeout) {
			err = fmt.Errorf("it takes no connections after %v", startTimeout)
		}
	}
	if err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("natsremote: no server on %s: %w", at, err)
	}
	return s, nil
}

func (n *Node) stopServer() {
	if n.own != nil {
		n.own.Shutdown()
		n.own.WaitForShutdown()
	}
}

// startErrors is a server's logger that keeps the first error that the server cannot start with: it is told to nobody else.
type startErrors chan error

func (c startErrors) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	for _, x := range v {
		if cause, ok := x.(error); ok {
			err = cause
		}
	}
	select {
	case c <- err:
	default:
	}
}

func (startErrors) Noticef(string, ...any) {}
func (startErrors) Warnf(string, ...any)   {}
func (startErrors) Errorf(string, ...any)  {}
func (startErrors) Debugf(string, ...any)  {}
func (startErrors) Tracef(string, ...any)  {}
