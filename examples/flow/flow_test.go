package flow

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/exampletest"

	// The examples are built by the go command. With these the test's cached result ends when the packages change.
	_ "github.com/ouro-io/ouro/actor"
	_ "github.com/ouro-io/ouro/net"
)

// TestPrograms builds and runs each example as a user would, on each backend.
func TestPrograms(t *testing.T) {
	bin := exampletest.Build(t) + string(filepath.Separator)
	for _, name := range []string{"scatter", "workers", "pipeline", "limiter"} {
		_, err := os.ReadFile(filepath.Join(name, "main.go")) // the cached result ends when it changes, too
		require.NoError(t, err)
	}
	require.Contains(t, exampletest.Refused(t, bin+"limiter", "-addr", "127.0.0.1:0", "-rate", "0"), "-rate 0: ")
	for _, backend := range []string{"auto", "epoll"} {
		env := append(os.Environ(), "OURO_BACKEND="+backend)
		t.Run("scatter "+backend, func(t *testing.T) {
			got := output(t, bin+"scatter", env)
			require.Contains(t, got, "first: 42 <nil>\nserver 0: \"42\", <nil>\nserver 1: \"\", no result within 100ms\nserver 2: \"\", EOF\n")
		})
		t.Run("workers "+backend, func(t *testing.T) {
			const want = "36 jobs done, 4 failed, 4 restarts\n"
			got := output(t, bin+"workers", env)
			if got != want { // on a busy machine the limit, which is waited for four times, may be too short
				got = output(t, bin+"workers", env, "-limit", "30s")
			}
			require.Equal(t, want, got)
		})
		t.Run("pipeline "+backend, func(t *testing.T) {
			c := dial(t, exampletest.Start(t, backend, bin+"pipeline", "-addr", "127.0.0.1:0"))
			go func() {
				for i := range 2000 {
					fmt.Fprintf(c, "%d\n", i)
				}
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			lines := bufio.NewScanner(c)
			n := 0
			for ; lines.Scan(); n++ {
				require.Equal(t, fmt.Sprintf("%d squared is %d", n, n*n), lines.Text())
			}
			require.NoError(t, lines.Err())
			require.Equal(t, 2000, n)
		})
		t.Run("limiter "+backend, func(t *testing.T) {
			behind, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer behind.Close()
			go func() {
				if c, err := behind.Accept(); err == nil {
					_, _ = io.Copy(c, c)
					c.Close()
				}
			}()
			c := dial(t, exampletest.Start(t, backend, bin+"limiter", "-addr", "127.0.0.1:0", "-to", behind.Addr().String(), "-rate", "100000"))
			begin := time.Now()
			go func() {
				_, _ = c.Write(make([]byte, 300_000))
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			n, err := io.Copy(io.Discard, c)
			require.NoError(t, err)
			require.EqualValues(t, 300_000, n)
			// What exceeds the burst of a second has to wait, however quick the machine is; the last chunk is paid for later.
			require.Greater(t, time.Since(begin), 500*time.Millisecond)
		})
	}
}

func output(t *testing.T, program string, env []string, args ...string) string {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stderr = env, os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out)
}

func dial(t *testing.T, addr string) net.Conn {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute))) // against hanging only
	return c
}
