package contestant

import (
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

func serveOuro(o Options) error {
	return serveNet(o, func(c net.Conn) { echoBlocking(c, o.Sink, o.buffer()) })
}

func serveOuroLease(o Options) error {
	return serveNet(o, func(c net.Conn) { echoLeases(c.(*net.TCPConn), o.Sink) })
}

func listenOuro(o Options) (net.Listener, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o.Ready(l.Addr().String())
	return l, nil
}

func serveNet(o Options, handle func(net.Conn)) error {
	e, err := proactor.Default()
	if err != nil {
		return err
	}
	countOuro(o, e)
	l, err := listenOuro(o)
	if err != nil {
		return err
	}
	return net.Serve(l, func(c net.Conn) {
		defer c.Close()
		handle(c)
	})
}

// serveOuroGoroutines is what a program becomes whose import line alone was changed.
func serveOuroGoroutines(o Options) error {
	l, err := listenOuro(o)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			echoBlocking(c, o.Sink, o.buffer())
		}()
	}
}
