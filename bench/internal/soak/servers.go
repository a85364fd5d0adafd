package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/file"
	"github.com/ouro-io/ouro/net"
)

// roomSize is the length of a broadcast message.
const roomSize = 64

// engineListeners is how many listeners the engine has: net/http accepts on goroutines, which stay with the runtime.
const engineListeners = 3

// start starts the servers.
func (s *soak) start() error {
	for _, x := range []struct {
		addr   *string
		handle func(net.Conn)
	}{{&s.echo, echo}, {&s.room, new(room).handle}, {&s.lazy, lazy}} {
		l, err := s.listen(x.addr)
		if err != nil {
			return err
		}
		s.serving.Go(func() { s.stack.Serve(l, x.handle) }) //nolint:errcheck // it ends when the listener is closed
	}
	l, err := s.listen(&s.web)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(sumUp), ReadHeaderTimeout: time.Minute}
	s.closers = append(s.closers, srv)
	s.serving.Go(func() { srv.Serve(l) }) //nolint:errcheck // as above
	s.file, err = newTestFile()
	if err == nil {
		s.closers = append(s.closers, s.file)
	}
	return err
}

func (s *soak) listen(addr *string) (net.Listener, error) {
	l, err := s.stack.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	*addr = l.Addr().String()
	s.closers = append(s.closers, l)
	return l, nil
}

// shutdown ends everything; an engine that cannot end in time is an error.
func (s *soak) shutdown() error {
	for _, c := range s.closers {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	s.serving.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.engine.Shutdown(ctx)
}

// echo sends back what comes in, by turns with copies and with leases.
func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 8<<10)
	for n := 0; ; n++ {
		if t, ok := c.(*net.TCPConn); ok && n%2 == 1 {
			d, err := t.ReadLease()
			if err != nil || t.WriteLease(d) != nil {
				return
			}
			continue
		}
		k, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:k]); err != nil {
			return
		}
	}
}

// lazy echoes messages of 8 bytes and blocks in ways that the engine does not know before some of them.
func lazy(c net.Conn) {
	defer c.Close()
	var mu sync.Mutex
	m := make([]byte, 8)
	for {
		if _, err := io.ReadFull(c, m); err != nil {
			return
		}
		if protocol.Blocks(m) {
			mu.Lock()
			time.Sleep(5 * time.Millisecond) // longer than a worker waits for a handler
			mu.Unlock()
		}
		if _, err := c.Write(m); err != nil {
			return
		}
	}
}

// room is a broadcast: messages of roomSize bytes go to everybody who is in it. The first one of a connection is its
// entry, and answered to it alone.
type room struct {
	mu  sync.Mutex
	all map[net.Conn]struct{}
}

func (r *room) handle(c net.Conn) {
	defer c.Close()
	m := make([]byte, roomSize)
	for first := true; ; first = false {
		if _, err := io.ReadFull(c, m); err != nil {
			break
		}
		if first {
			r.enter(c)
			if _, err := c.Write(m); err != nil {
				break
			}
			continue
		}
		for _, to := range r.others() {
			to.Write(m) //nolint:errcheck // its own handler finds out
		}
	}
	r.mu.Lock()
	delete(r.all, c)
	r.mu.Unlock()
}

func (r *room) enter(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[net.Conn]struct{}{}
	}
	r.all[c] = struct{}{}
}

// others is a copy: a write may suspend, and nobody may hold the lock then.
func (r *room) others() []net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]net.Conn, 0, len(r.all))
	for c := range r.all {
		out = append(out, c)
	}
	return out
}

// testFile is read by the traffic on files.
type testFile struct {
	*file.File
	path string
}

const (
	fileBytes = 4 << 20
	blockSize = 16 << 10
)

func newTestFile() (*testFile, error) {
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "file")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(protocol.WriteFile(f, fileBytes), f.Close()); err != nil {
		return nil, err
	}
	t := &testFile{path: path}
	if t.File, err = file.Open(path); err != nil {
		return nil, fmt.Errorf("package file: %w", err)
	}
	return t, nil
}

func (t *testFile) Close() error {
	return errors.Join(t.File.Close(), os.RemoveAll(filepath.Dir(t.path)))
}
