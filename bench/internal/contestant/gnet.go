package contestant

import (
	"net"
	"os"
	"runtime"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/panjf2000/gnet/v2/pkg/pool/goroutine"
)

// Quiet ends the goroutines that gnet's packages start as soon as they are linked, which tick twice a second. Every
// process but gnet's own calls it, so that they disturb nobody else's figures.
func Quiet() { goroutine.DefaultWorkerPool.Release() }

func gnetServer() *Contestant {
	return &Contestant{Name: "gnet", About: "gnet 2.9.7, an event loop per P", Serve: serveGnet}
}

type gnetHandler struct {
	gnet.BuiltinEventEngine
	o Options
	// failed is why the engine was stopped at boot.
	failed error
}

func serveGnet(o Options) error {
	h := &gnetHandler{o: o}
	err := gnet.Run(h, "tcp4://127.0.0.1:0",
		gnet.WithNumEventLoop(runtime.GOMAXPROCS(0)), gnet.WithLogLevel(logging.FatalLevel))
	if h.failed != nil {
		return h.failed
	}
	return err
}

// OnBoot finds out which port was given.
func (h *gnetHandler) OnBoot(eng gnet.Engine) gnet.Action {
	fd, err := eng.Dup()
	if err != nil {
		h.failed = err
		return gnet.Shutdown
	}
	f := os.NewFile(uintptr(fd), "gnet listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		h.failed = err
		return gnet.Shutdown
	}
	defer l.Close()
	h.o.Ready(l.Addr().String())
	return gnet.None
}

// OnTraffic echoes everything that is there.
func (h *gnetHandler) OnTraffic(c gnet.Conn) gnet.Action {
	if h.o.Sink {
		if _, err := c.Discard(-1); err != nil {
			return gnet.Close
		}
		return gnet.None
	}
	b, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	if _, err := c.Write(b); err != nil {
		return gnet.Close
	}
	return gnet.None
}
