//go:build linux

package main

import (
	"bufio"
	"context"
	"io"
	stdnet "net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/uring"
)

func TestEchoUsage(t *testing.T) {
	for _, args := range [][]string{{"echo", "--face=mime"}, {"echo", "--backend=kqueue"}} {
		r := inside(args...)
		require.Equal(t, exitUsage, r.status)
		require.Contains(t, r.stderr, "use one of")
	}
	r := inside("echo", "--addr=127.0.0.1:no-such-port")
	require.Equal(t, exitFailed, r.status)
	require.Contains(t, r.stderr, "no-such-port")
}

// served starts the command, calls f with the address that it prints, interrupts it and returns its exit status.
func served(t *testing.T, args []string, f func(addr, line string)) int {
	cmd := exec.Command(os.Args[0], append([]string{"echo", "--addr=127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	addr := regexp.MustCompile(`echo on (\S+):`).FindStringSubmatch(line)
	require.NotNil(t, addr, line)
	f(addr[1], line)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil {
		require.IsType(t, (*exec.ExitError)(nil), err)
	}
	return cmd.ProcessState.ExitCode()
}

func TestEcho(t *testing.T) {
	for _, backend := range []string{"auto", "uring", "epoll"} {
		for face := range faces {
			t.Run(backend+" "+face, func(t *testing.T) {
				if err := uring.Available(); backend == "uring" && err != nil {
					t.Skip("needs io_uring: ", err)
				}
				status := served(t, []string{"--backend=" + backend, "--face=" + face}, func(addr, line string) {
					require.Contains(t, line, face)
					if backend != "auto" {
						require.Contains(t, line, backend)
					}
					c, err := stdnet.Dial("tcp", addr)
					require.NoError(t, err)
					defer c.Close()
					require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute))) // against hanging only
					for _, msg := range []string{"a", "hello", strings.Repeat("x", 100_000)} {
						go func() { _, _ = io.WriteString(c, msg) }()
						got := make([]byte, len(msg))
						_, err = io.ReadFull(c, got)
						require.NoError(t, err)
						require.Equal(t, msg, string(got))
					}
				})
				require.Zero(t, status)
			})
		}
	}
}

// TestEchoEndsWithOpenConnections interrupts the server while a connection is open and idle.
func TestEchoEndsWithOpenConnections(t *testing.T) {
	var c stdnet.Conn
	status := served(t, nil, func(addr, _ string) {
		var err error
		c, err = stdnet.Dial("tcp", addr)
		require.NoError(t, err)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err)
	})
	defer c.Close()
	require.Zero(t, status)
	_, err := c.Read(make([]byte, 1))
	require.Error(t, err, "the server is gone")
}

// TestEchoInside covers the command in this process, where leaks are seen.
func TestEchoInside(t *testing.T) {
	for name, f := range faces {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- serveEcho(ctx, w, "127.0.0.1:0", name, f, backends["epoll"]) }()
		_, err := bufio.NewReader(r).ReadString('\n')
		require.NoError(t, err)
		cancel()
		require.NoError(t, <-ended, name)
	}
}
