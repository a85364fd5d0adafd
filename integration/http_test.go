//go:build linux

package integration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

// serveHTTP serves h on l until the test ends; with TLS where config is given.
func serveHTTP(t *testing.T, l net.Listener, h http.Handler, config *tls.Config) {
	srv := &http.Server{Handler: h, TLSConfig: config, ErrorLog: log.New(t.Output(), "", 0)}
	ended := make(chan error, 1)
	go func() {
		if config != nil {
			ended <- srv.ServeTLS(l, "", "")
			return
		}
		ended <- srv.Serve(l)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
}

// client is an HTTP client that dials on s.
func client(t *testing.T, s stack, config *tls.Config) *http.Client {
	tr := &http.Transport{DialContext: s.dial, TLSClientConfig: config, ForceAttemptHTTP2: config != nil}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// app answers with what it was sent, and more.
func app(file string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		// Read to its end first: an HTTP/1 server may stop reading once the answer has begun.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Proto", r.Proto)
		w.Header().Set("Remote", r.RemoteAddr)
		_, _ = w.Write(body)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
		rw.Flush()
		for line := ""; err == nil; line, err = rw.ReadString('\n') {
			fmt.Fprint(rw, strings.ToUpper(line))
			rw.Flush()
		}
	})
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begun\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // the client leaves
	})
	return mux
}

func TestHTTP(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		file, content := tempFile(t, 8<<20)
		l := s.listen(t)
		serveHTTP(t, l, app(file), nil)
		c := client(t, s, nil)
		base := "http://" + l.Addr().String()
		t.Run("keep-alive", func(t *testing.T) { keepsAlive(t, c, base) })
		t.Run("upload", func(t *testing.T) { uploads(t, c, base, "HTTP/1.1") })
		t.Run("many at once", func(t *testing.T) { manyRequests(t, c, base) })
		t.Run("file", func(t *testing.T) { getsFile(t, c, base, content) })
		t.Run("hijack", func(t *testing.T) { hijacks(t, s, l) })
		t.Run("expect", func(t *testing.T) { expects(t, s, l) })
		t.Run("cancel", func(t *testing.T) { cancels(t, c, base) })
	})
}

func TestHTTP2(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		file, content := tempFile(t, 8<<20)
		ca := newAuthority(t)
		l := s.listen(t)
		serveHTTP(t, l, app(file), ca.server(t))
		c := client(t, s, ca.client(t))
		base := "https://" + l.Addr().String()
		t.Run("upload", func(t *testing.T) { uploads(t, c, base, "HTTP/2.0") })
		t.Run("many at once", func(t *testing.T) { manyRequests(t, c, base) })
		t.Run("file", func(t *testing.T) { getsFile(t, c, base, content) })
		t.Run("cancel", func(t *testing.T) { cancels(t, c, base) })
	})
}

func echo(c *http.Client, base string, body []byte) (h http.Header, got []byte, err error) {
	res, err := c.Post(base+"/echo", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	got, err = io.ReadAll(res.Body)
	return res.Header, got, err
}

func keepsAlive(t *testing.T, c *http.Client, base string) {
	remotes := map[string]bool{}
	for i := range 20 {
		body := pattern(100 * i)
		h, got, err := echo(c, base, body)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
		remotes[h.Get("Remote")] = true
	}
	require.Len(t, remotes, 1, "one connection is used again and again")
}

func uploads(t *testing.T, c *http.Client, base, proto string) {
	body := pattern(16 << 20)
	h, got, err := echo(c, base, body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, got))
	require.Equal(t, proto, h.Get("Proto"))
}

func manyRequests(t *testing.T, c *http.Client, base string) {
	errs := make(chan error, 50)
	var all sync.WaitGroup
	for i := range cap(errs) {
		all.Go(func() {
			body := pattern(1000 * (i + 1))
			for range 5 {
				_, got, err := echo(c, base, body)
				if err == nil && !bytes.Equal(got, body) {
					err = errors.New("another body came back")
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func getsFile(t *testing.T, c *http.Client, base string, content []byte) {
	for _, r := range []struct {
		header   string
		from, to int
	}{{"", 0, len(content)}, {"bytes=5000000-5999999", 5000000, 6000000}} {
		req, err := http.NewRequest("GET", base+"/file", nil)
		require.NoError(t, err)
		if r.header != "" {
			req.Header.Set("Range", r.header)
		}
		res, err := c.Do(req)
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		require.NoError(t, err)
		require.True(t, bytes.Equal(content[r.from:r.to], got))
	}
}

func hijacks(t *testing.T, s stack, l net.Listener) {
	c, err := s.dial(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	fmt.Fprint(c, "GET /hijack HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	for _, line := range []string{"one\n", "two\n"} {
		fmt.Fprint(c, line)
		got, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, strings.ToUpper(line), got)
	}
}

// A client that asks first sends its body only after 100 Continue, and not at all when it is refused.
func expects(t *testing.T, s stack, l net.Listener) {
	c, err := s.dial(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	r := bufio.NewReader(c)
	fmt.Fprint(c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = r.ReadString('\n')
	require.NoError(t, err)
	fmt.Fprint(c, "body")
	res, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	got, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "body", string(got))
	fmt.Fprint(c, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
	res, err = http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

// The server's handler learns that its client has left.
func cancels(t *testing.T, c *http.Client, base string) {
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", base+"/slow", nil)
	require.NoError(t, err)
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "begun\n", line)
	cancel()
	_, err = io.ReadAll(res.Body)
	require.ErrorIs(t, err, context.Canceled)
}

func TestReverseProxy(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		file, content := tempFile(t, 8<<20)
		behind := s.listen(t)
		serveHTTP(t, behind, app(file), nil)
		target, err := url.Parse("http://" + behind.Addr().String())
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.Transport = client(t, s, nil).Transport
		proxy.ErrorLog = log.New(io.Discard, "", 0) // of the request that is cancelled
		front := s.listen(t)
		serveHTTP(t, front, proxy, nil)
		c := client(t, s, nil)
		base := "http://" + front.Addr().String()
		t.Run("upload", func(t *testing.T) { uploads(t, c, base, "HTTP/1.1") })
		t.Run("many at once", func(t *testing.T) { manyRequests(t, c, base) })
		t.Run("file", func(t *testing.T) { getsFile(t, c, base, content) })
		t.Run("upgrade", func(t *testing.T) { hijacks(t, s, front) })
		t.Run("cancel", func(t *testing.T) { cancels(t, c, base) })
	})
}

// A server that shuts down answers what it has begun and takes no more.
func TestHTTPShutdown(t *testing.T) {
	eachStack(t, func(t *testing.T, s stack) {
		l := s.listen(t)
		begun, finish := make(chan struct{}), make(chan struct{})
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			<-finish
			fmt.Fprint(w, "done")
		})}
		ended := make(chan error, 1)
		go func() { ended <- srv.Serve(l) }()
		c := client(t, s, nil)
		answer := make(chan string, 1)
		go func() {
			res, err := c.Get("http://" + l.Addr().String())
			if err != nil {
				answer <- err.Error()
				return
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			answer <- string(b)
		}()
		<-begun
		down := make(chan error, 1)
		go func() { down <- srv.Shutdown(context.Background()) }()
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
		close(finish)
		require.Equal(t, "done", <-answer)
		require.NoError(t, <-down)
		_, err := c.Get("http://" + l.Addr().String())
		require.Error(t, err)
	})
}
