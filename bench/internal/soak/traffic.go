package soak

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/file"
	"github.com/ouro-io/ouro/net"
)

// traffic is one kind: once does a unit of it, as user i for the nth time, and leaves nothing open. What goes wrong after
// the context has ended does not count.
type traffic struct {
	name string
	once func(ctx context.Context, i, n int) error
}

func (s *soak) traffic() []traffic {
	return []traffic{
		{"echo", s.echoStream}, {"churn", s.churn}, {"http", s.http}, {"broadcast", s.broadcast}, {"files", s.files},
		{"deadlines", s.deadlines}, {"cancels", s.cancels}, {"blocking", s.blocking}, {"resets", s.resets},
	}
}

// dial connects and ties the connection to ctx: it is closed when that ends, so that nothing waits beyond a cycle.
func (s *soak) dial(ctx context.Context, addr string) (net.Conn, func(), error) {
	c, err := s.stack.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	return c, func() {
		stop()
		c.Close()
	}, nil
}

// pattern is n bytes that depend on seed.
func pattern(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)}).Read(b) //nolint:errcheck // never fails
	return b
}

// exchange writes b while it reads as much, and compares by checksum.
func exchange(c net.Conn, b []byte) error {
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		failed <- err
	}()
	got := make([]byte, len(b))
	_, err := io.ReadFull(c, got)
	if err = errors.Join(err, <-failed); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(got) != crc32.ChecksumIEEE(b) {
		return fmt.Errorf("%d bytes came back altered (first difference at %d)", len(b), differ(got, b))
	}
	return nil
}

func differ(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// echoStream exchanges blocks of many sizes on one connection.
func (s *soak) echoStream(ctx context.Context, i, n int) error {
	c, end, err := s.dial(ctx, s.echo)
	if err != nil {
		return err
	}
	defer end()
	for k := range 50 {
		size := 1 << ((i + k) % 18)
		if err := exchange(c, pattern(uint64(i<<16+n<<8+k), size)); err != nil {
			return err
		}
	}
	return nil
}

// churn is one connection for one message.
func (s *soak) churn(ctx context.Context, i, n int) error {
	c, end, err := s.dial(ctx, s.echo)
	if err != nil {
		return err
	}
	defer end()
	return exchange(c, pattern(uint64(i+n), 64))
}

// sumUp answers with the checksum of what was uploaded, and with as many bytes as were asked for.
func sumUp(w http.ResponseWriter, r *http.Request) {
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, r.Body); err != nil {
		return
	}
	size, err := strconv.Atoi(r.URL.Query().Get("size"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Sum", strconv.Itoa(int(h.Sum32())))
	w.Write(pattern(uint64(size), size)) //nolint:errcheck // the client is gone then
}

func (s *soak) http(ctx context.Context, i, n int) error {
	tr := &http.Transport{DialContext: s.stack.Dialer(net.Dialer{}).DialContext, DisableCompression: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	for k := range 10 {
		size := 1 << ((i + k) % 17)
		up := pattern(uint64(n), size/2+1)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.web+"/?size="+strconv.Itoa(size), bytes.NewReader(up))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		down, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.Header.Get("X-Sum") != strconv.Itoa(int(crc32.ChecksumIEEE(up))) || !bytes.Equal(down, pattern(uint64(size), size)) {
			return fmt.Errorf("%d bytes up and %d down came altered", len(up), size)
		}
	}
	return nil
}

// broadcast enters the room, says something, and waits until it hears it itself.
func (s *soak) broadcast(ctx context.Context, i, n int) error {
	c, end, err := s.dial(ctx, s.room)
	if err != nil {
		return err
	}
	defer end()
	mine := pattern(uint64(i<<20+n), roomSize)
	if err := exchange(c, mine); err != nil {
		return err
	}
	if _, err := c.Write(mine); err != nil {
		return err
	}
	heard := make([]byte, roomSize)
	for {
		if _, err := io.ReadFull(c, heard); err != nil {
			return err
		}
		if bytes.Equal(heard, mine) {
			return nil
		}
	}
}

// files reads blocks: one by one, and in a batch.
func (s *soak) files(_ context.Context, i, n int) error {
	b := make([]byte, blockSize)
	ios := make([]file.IO, 8)
	for k := range ios {
		off := int64(i*7+n*13+k) % (fileBytes / blockSize) * blockSize
		if _, err := s.file.ReadAt(b, off); err != nil {
			return err
		}
		if err := protocol.CheckBlock(b, off); err != nil {
			return err
		}
		ios[k] = file.IO{P: make([]byte, blockSize), Off: off}
	}
	if err := s.file.ReadBatch(ios); err != nil {
		return err
	}
	for _, x := range ios {
		if err := protocol.CheckBlock(x.P, x.Off); err != nil {
			return err
		}
	}
	return nil
}

// deadlines lets a read expire, and goes on with the connection afterwards.
func (s *soak) deadlines(ctx context.Context, i, n int) error {
	c, end, err := s.dial(ctx, s.echo)
	if err != nil {
		return err
	}
	defer end()
	for k := range 5 {
		if err := c.SetReadDeadline(time.Now().Add(time.Duration(k) * time.Millisecond)); err != nil {
			return err
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("a read without data ended with %v", err)
		}
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		if err := exchange(c, pattern(uint64(i+n+k), 1000)); err != nil {
			return err
		}
	}
	return nil
}

// cancels closes a connection under a read that waits.
func (s *soak) cancels(ctx context.Context, i, n int) error {
	c, end, err := s.dial(ctx, s.echo)
	if err != nil {
		return err
	}
	defer end()
	if err := exchange(c, pattern(uint64(i+n), 100)); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	if n%2 == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("a read of a connection that was closed ended with %v", err)
	}
	return nil
}

// blocking talks to handlers that block.
func (s *soak) blocking(ctx context.Context, i, n int) error {
	c, end, err := s.dial(ctx, s.lazy)
	if err != nil {
		return err
	}
	defer end()
	for k := range 40 {
		m := binary.LittleEndian.AppendUint64(nil, uint64(i+n+k))
		if err := exchange(c, m); err != nil {
			return err
		}
	}
	return nil
}

// resets leaves a connection in the middle of a transfer.
func (s *soak) resets(ctx context.Context, i, n int) error {
	c, end, err := s.dial(ctx, s.echo)
	if err != nil {
		return err
	}
	defer end()
	if t, ok := c.(*net.TCPConn); ok {
		if err := t.SetLinger(0); err != nil {
			return err
		}
	}
	if err := c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		return err
	}
	// Nobody reads the echo, so the write ends by its deadline when the sockets' buffers are full.
	_, err = c.Write(pattern(uint64(i+n), 64<<10))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}
