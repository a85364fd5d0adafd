package load

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/bench/protocol"
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
	return Config{Addr: addr, ServerPID: os.Getpid(), Kind: Echo, Conns: 3, Size: 64, Pipeline: 1,
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
	c.Kind, c.Size = Sink, 256<<10
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
	c.Kind, c.Conns = Idle, dialBatch+44
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
		"kind":           func(c *Config) { c.Kind = "flood" },
		"no connections": func(c *Config) { c.Conns = 0 },
		"short message":  func(c *Config) { c.Size = MinSize - 1 },
		"long message":   func(c *Config) { c.Size = MaxSize + 1 },
		"no depth":       func(c *Config) { c.Pipeline = 0 },
		"no window":      func(c *Config) { c.Window = 0 },
		"stall":          func(c *Config) { c.Stall = -1 },
		"long datagram":  func(c *Config) { c.Kind, c.Size = UDP, MaxDatagram+1 },
		"negative rate":  func(c *Config) { c.Rate = -1 },
		"rate of a sink": func(c *Config) { c.Kind, c.Rate = Sink, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := small("127.0.0.1:1")
			change(&c)
			_, err := Run(c)
			require.ErrorContains(t, err, "load: ")
		})
	}
}

// An open loop charges a stall of the server to all requests that were due meanwhile.
func TestOpenLoopCountsFromWhenDue(t *testing.T) {
	noNewFiles(t)
	const stall = 300 * time.Millisecond
	var once sync.Once
	c := small(serve(t, func(c net.Conn) {
		b := make([]byte, 64)
		for n := 0; ; n++ {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			if n == 60 {
				once.Do(func() { time.Sleep(stall) })
			}
			c.Write(b)
		}
	}))
	c.Conns, c.Pipeline, c.Rate, c.Window = 1, 4, 200, 800*time.Millisecond
	r, err := Run(c)
	require.NoError(t, err)
	// Of the requests due during the stall, one in flight would have seen all of it in a closed loop; here a quarter of
	// them waited for at least three quarters of it.
	late := 0
	for i, q := range protocol.Quantiles {
		if q >= 95 && r.Quantiles[i] > int64(stall)/2 {
			late++
		}
	}
	require.Positive(t, late)
	require.Greater(t, r.P99Ns, int64(stall)/2)
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	noNewFiles(t)
	c := small(serve(t, echoInPieces(64)))
	c.Pipeline, c.Rate, c.Window = 1000, 500, 400*time.Millisecond
	r, err := Run(c)
	require.NoError(t, err)
	require.LessOrEqual(t, r.TotalRequests, uint64(c.Conns)+500*uint64(r.WindowNs)/1e9+2, "sent before it was due")
	// A server that answers nothing more than it can hold is told of as being behind.
	c.Addr, c.Pipeline, c.Rate = serve(t, func(c net.Conn) {
		b := make([]byte, 64)
		io.ReadFull(c, b)
		c.Write(b)
		io.Copy(io.Discard, c)
	}), 2, 10_000
	r, err = Run(c)
	require.NoError(t, err)
	require.EqualValues(t, c.Conns, r.TotalRequests)
	require.Greater(t, r.Behind, uint64(1000))
}

func answer(head, body string) func(net.Conn) {
	return func(c net.Conn) {
		b, have := make([]byte, 4096), 0
		for {
			n, err := c.Read(b[have:])
			if err != nil {
				return
			}
			for have += n; have >= len(httpRequest); have -= len(httpRequest) {
				copy(b, b[len(httpRequest):])
				for _, piece := range []string{head[:len(head)/2], head[len(head)/2:], body} {
					if _, err := c.Write([]byte(piece)); err != nil {
						return
					}
				}
			}
		}
	}
}

func TestHTTP(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n"
	for name, c := range map[string]struct{ head, body, want string }{
		"good":         {good, protocol.PlainText, ""},
		"other body":   {good, "Hello, Werld!", "the body is"},
		"no length":    {"HTTP/1.1 200 OK\r\n\r\n", protocol.PlainText, "no length"},
		"other length": {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", protocol.PlainText, "Content-Length: 12"},
		"status":       {"HTTP/1.1 503 Busy\r\nContent-Length: 13\r\n\r\n", protocol.PlainText, "503"},
		"closing":      {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\n", protocol.PlainText, "close"},
		"chunked":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", protocol.PlainText, "chunked"},
	} {
		t.Run(name, func(t *testing.T) {
			noNewFiles(t)
			cfg := small(serve(t, answer(c.head, c.body)))
			cfg.Kind, cfg.Pipeline = HTTP, 4
			r, err := Run(cfg)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Positive(t, r.TotalRequests)
		})
	}
}

func TestChurnOpensNewConnections(t *testing.T) {
	noNewFiles(t)
	var mu sync.Mutex
	accepted := 0
	c := small(serve(t, func(c net.Conn) {
		mu.Lock()
		accepted++
		mu.Unlock()
		echoInPieces(64)(c)
	}))
	c.Kind = Churn
	r, err := Run(c)
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.GreaterOrEqual(t, uint64(accepted), r.TotalRequests)
	require.Greater(t, r.TotalRequests, uint64(c.Conns))
}

func TestSkewLoadsEverySecondConnection(t *testing.T) {
	noNewFiles(t)
	var mu sync.Mutex
	got := map[int]int{}
	c := small(serve(t, func(c net.Conn) {
		b := make([]byte, 64)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			mu.Lock()
			got[int(binary.LittleEndian.Uint64(b)>>seqBits)]++
			mu.Unlock()
			c.Write(b)
		}
	}))
	c.Kind, c.Conns = Skew, 4
	_, err := Run(c)
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, got[1])
	require.Equal(t, 1, got[3])
	require.Greater(t, got[0], 1)
	require.Greater(t, got[2], 1)
}

// room is a broadcast server; lose makes it skip one delivery.
func room(lose bool) func(net.Conn) {
	var mu sync.Mutex
	var all []net.Conn
	sent := 0
	return func(c net.Conn) {
		b := make([]byte, 64)
		for first := true; ; first = false {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			mu.Lock()
			if first {
				all = append(all, c)
				c.Write(b)
			} else {
				for _, to := range all {
					if sent++; !lose || sent != 7 {
						to.Write(b)
					}
				}
			}
			mu.Unlock()
		}
	}
}

func TestBroadcastReachesAll(t *testing.T) {
	noNewFiles(t)
	c := small(serve(t, room(false)))
	c.Kind, c.Pipeline = Broadcast, 3
	r, err := Run(c)
	require.NoError(t, err)
	require.Greater(t, r.TotalRequests, uint64(2*c.Conns))
	c.Addr, c.Window = serve(t, room(true)), time.Minute // the error ends it
	_, err = Run(c)
	require.ErrorContains(t, err, "in place of", "a delivery was lost")
}

func TestUDPSendsAgainWhatWasLost(t *testing.T) {
	noNewFiles(t)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 1024)
		for n := 0; ; n++ {
			k, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			if n%100 != 5 {
				pc.WriteTo(b[:k], from)
			}
		}
	})
	defer wg.Wait()
	defer pc.Close()
	c := small(pc.LocalAddr().String())
	c.Kind, c.Conns, c.Pipeline = UDP, 2, 1
	c.Warmup, c.Window = 0, 3*resendAfter
	r, err := Run(c)
	require.NoError(t, err)
	require.Greater(t, r.TotalRequests, uint64(5))
	require.Positive(t, r.Lost)
}

func TestUDPFindsAlteredBytes(t *testing.T) {
	noNewFiles(t)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 1024)
		for {
			k, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			b[k-1]++
			pc.WriteTo(b[:k], from)
		}
	})
	defer wg.Wait()
	defer pc.Close()
	c := small(pc.LocalAddr().String())
	c.Kind = UDP
	_, err = Run(c)
	require.ErrorContains(t, err, "altered")
}

func TestBlockRecordsTheOthers(t *testing.T) {
	l := &loop{cfg: Config{Kind: Block}}
	require.False(t, l.counts(8))
	require.True(t, l.counts(9))
	l.cfg.Kind = Echo
	require.True(t, l.counts(8))
}
