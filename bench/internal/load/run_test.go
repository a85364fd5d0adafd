package load

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// serve runs handle for each connection and ends them all with the test.
func serve(t *testing.T, handle func(net.Conn)) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// echoInPieces echoes in writes of at most n bytes.
func echoInPieces(n int) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, n)
		for {
			k, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:k]); err != nil {
				return
			}
		}
	}
}

func small(addr string) Config {
	return Config{Addr: addr, ServerPID: os.Getpid(), Scenario: Echo, Conns: 3, Size: 64, Pipeline: 1,
		Window: 50 * time.Millisecond, Stall: 20 * time.Second}
}

func TestEchoCountsWhatWasEchoed(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"one by one":                     func(*Config) {},
		"smallest message":               func(c *Config) { c.Size = MinSize },
		"pipelined":                      func(c *Config) { c.Pipeline = 16 },
		"more than sockets hold at once": func(c *Config) { c.Size, c.Pipeline = MaxSize, 8 },
	} {
		t.Run(name, func(t *testing.T) {
			noNewFiles(t)
			c := small(serve(t, echoInPieces(64<<10)))
			change(&c)
			for r, err := Run(c); ; r, err = Run(c) {
				require.NoError(t, err)
				require.EqualValues(t, r.Requests*uint64(c.Size), r.Bytes)
				require.GreaterOrEqual(t, r.TotalRequests, r.Requests+uint64(c.Conns))
				require.GreaterOrEqual(t, r.WindowNs, int64(c.Window))
				require.Positive(t, r.LoadCPUNs)
				// On a machine that is busy elsewhere a window may be too short for a large message.
				if r.Requests > 0 {
					require.Positive(t, r.ServerCPUNs)
					require.Positive(t, r.P50Ns)
					require.LessOrEqual(t, r.P50Ns, r.P99Ns)
					require.LessOrEqual(t, r.P99Ns, r.MaxNs)
					return
				}
				c.Window *= 2
			}
		})
	}
}

// Messages that arrive in pieces which fit no boundary are put together and still checked.
func TestEchoInOddPieces(t *testing.T) {
	noNewFiles(t)
	c := small(serve(t, echoInPieces(7)))
	c.Pipeline = 5
	r, err := Run(c)
	require.NoError(t, err)
	require.Positive(t, r.TotalRequests)
}

func TestEchoFindsAlteredBytes(t *testing.T) {
	for name, at := range map[string]int{"header": 0, "filler": 63} {
		t.Run(name, func(t *testing.T) {
			noNewFiles(t)
			_, err := Run(small(serve(t, func(c net.Conn) {
				b := make([]byte, 64)
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
				b[at]++
				c.Write(b)
				io.Copy(io.Discard, c)
			})))
			require.ErrorContains(t, err, "connection ")
		})
	}
}

func TestEchoFindsBytesTooMany(t *testing.T) {
	noNewFiles(t)
	_, err := Run(small(serve(t, func(c net.Conn) {
		b := make([]byte, 64)
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		c.Write(append(b, b...))
		io.Copy(io.Discard, c)
	})))
	require.ErrorContains(t, err, "more than it sent")
}

func TestServerThatCloses(t *testing.T) {
	noNewFiles(t)
	_, err := Run(small(serve(t, func(c net.Conn) {
		b := make([]byte, 64)
		io.ReadFull(c, b)
	})))
	require.ErrorIs(t, err, errEnded)
}

func TestServerThatHangs(t *testing.T) {
	noNewFiles(t)
	c := small(serve(t, func(c net.Conn) { io.Copy(io.Discard, c) }))
	c.Stall = 200 * time.Millisecond
	_, err := Run(c)
	require.ErrorIs(t, err, errHung)
}

func TestNoServer(t *testing.T) {
	noNewFiles(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	l.Close()
	_, err = Run(small(addr))
	require.ErrorIs(t, err, unix.ECONNREFUSED)
}

func TestSinkCountsWhatArrived(t *testing.T) {
	noNewFiles(t)
	c := small(serve(t, func(c net.Conn) { io.Copy(io.Discard, c) }))
	c.Scenario, c.Size = Sink, 256<<10
	r, err := Run(c)
	require.NoError(t, err)
	require.Positive(t, r.Bytes)
	require.Zero(t, r.Requests)
}

func TestIdleOpensAllAndLeavesThemAlone(t *testing.T) {
	noNewFiles(t)
	var mu sync.Mutex
	got := map[net.Conn]int{}
	c := small(serve(t, func(c net.Conn) {
		b := make([]byte, 64)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			mu.Lock()
			got[c]++
			mu.Unlock()
			c.Write(b)
		}
	}))
	c.Scenario, c.Conns = Idle, dialBatch+44
	r, err := Run(c)
	require.NoError(t, err)
	require.EqualValues(t, c.Conns+1, r.TotalRequests)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, got, c.Conns+1)
	for _, n := range got {
		require.Equal(t, 1, n)
	}
}

func TestConfigOutOfRange(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no port":        func(c *Config) { c.Addr = "127.0.0.1" },
		"IPv6":           func(c *Config) { c.Addr = "[::1]:80" },
		"scenario":       func(c *Config) { c.Scenario = "flood" },
		"no connections": func(c *Config) { c.Conns = 0 },
		"short message":  func(c *Config) { c.Size = MinSize - 1 },
		"long message":   func(c *Config) { c.Size = MaxSize + 1 },
		"no depth":       func(c *Config) { c.Pipeline = 0 },
		"no window":      func(c *Config) { c.Window = 0 },
		"stall":          func(c *Config) { c.Stall = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := small("127.0.0.1:1")
			change(&c)
			_, err := Run(c)
			require.ErrorContains(t, err, "load: ")
		})
	}
}
