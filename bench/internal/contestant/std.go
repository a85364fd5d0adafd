package contestant

import (
	"io"
	"net"
)

// std is package net as it is mostly used: a goroutine and a buffer per connection.
func std(name string) *Contestant {
	about := "package net, a goroutine and a 4 KiB buffer per connection"
	if name == Twin {
		about = "the same once more: its distance from std is noise"
	}
	return &Contestant{Name: name, About: about, Serve: serveStd}
}

func serveStd(o Options) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	o.Ready(l.Addr().String())
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

// echoBlocking is the straight-line handler shared by every server that has one.
func echoBlocking(c io.ReadWriter, sink bool, size int) {
	buf := make([]byte, size)
	for {
		n, err := c.Read(buf)
		if n > 0 && !sink {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
