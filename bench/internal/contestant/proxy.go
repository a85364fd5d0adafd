package contestant

import (
	"io"
	"net"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/buffers"
	onet "github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// both copies in both directions with copy, the one from b in what spawn starts. When one direction ends both sides are
// closed, so that the other ends as well.
func both(a, b net.Conn, spawn func(func()), copy func(to, from net.Conn)) {
	one := func(to, from net.Conn) {
		copy(to, from)
		to.Close()
		from.Close()
	}
	spawn(func() { one(a, b) })
	one(b, a)
}

// ioCopy is what most proxies are. Between two *net.TCPConn it splices.
func ioCopy(to, from net.Conn) { io.Copy(to, from) } //nolint:errcheck // the end of either side ends the proxying

// plainCopy hides what io.Copy would use to splice.
func plainCopy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, buf) //nolint:errcheck // as above
}

func serveStdProxy(s *protocol.Server) error { return stdProxy(s, ioCopy) }

func serveStdProxyCopy(s *protocol.Server) error { return stdProxy(s, plainCopy) }

func stdProxy(s *protocol.Server, copy func(to, from net.Conn)) error {
	l, err := listenStd(s)
	if err != nil {
		return err
	}
	return goEach(l, func(c net.Conn) {
		up, err := net.Dial("tcp4", s.Upstream)
		if err != nil {
			return
		}
		both(c, up, func(f func()) { go f() }, copy)
	})
}

// leaser is what a connection offers besides Read and Write.
type leaser interface {
	ReadLease() (buffers.Lease, error)
	WriteLease(buffers.Lease) error
}

// leaseCopy hands the buffers that data arrived in to the other side.
func leaseCopy(to, from net.Conn) {
	in, out := from.(leaser), to.(leaser)
	for {
		d, err := in.ReadLease()
		if err != nil {
			return
		}
		if out.WriteLease(d) != nil {
			return
		}
	}
}

// ouroProxy runs both directions as coroutines.
func ouroProxy(copy func(to, from net.Conn)) func(*protocol.Server) error {
	return func(s *protocol.Server) error {
		e, err := proactor.Default()
		if err != nil {
			return err
		}
		spawn := func(f func()) {
			if err := e.Executor().Go(f); err != nil {
				go f()
			}
		}
		return serveNet(s, func(c net.Conn) {
			up, err := onet.Dial("tcp4", s.Upstream)
			if err != nil {
				return
			}
			both(c, up, spawn, copy)
		})
	}
}
