package integration

import (
	"context"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/net"
)

// need returns the path of a program, and skips the test where it is not installed.
func need(t *testing.T, program, debianPackage string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		// Debian keeps servers out of an ordinary user's path.
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			t.Skipf("%s is not installed (Debian: apt-get install %s)", program, debianPackage)
		}
	}
	return path
}

// start runs a server until the test ends, and waits until it answers at address.
func start(t *testing.T, network, address, path string, args ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.WaitDelay = 10 * time.Second
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	for range 500 {
		if c, err := net.Dial(network, address); err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended before it answered", path)
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer at %s", path, address)
}

// freePort is a TCP port of the loopback interface that nobody listens on.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
