package echo

import (
	"bufio"
	"bytes"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	// The examples are built by the go command. With these the test's cached result ends when the engine changes.
	_ "github.com/ouro-io/ouro/net"
	_ "github.com/ouro-io/ouro/proactor"
)

// TestExamples builds and runs each example as a user would, on each backend, and talks to it.
func TestExamples(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	bin := t.TempDir()
	out, err := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./...").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, face := range []string{"serve", "leases", "callbacks", "goroutines"} {
		_, err := os.ReadFile(filepath.Join(face, "main.go")) // and with this, when the example changes
		require.NoError(t, err)
		for _, backend := range []string{"auto", "epoll"} {
			t.Run(face+" "+backend, func(t *testing.T) {
				addr := start(t, filepath.Join(bin, face), backend)
				exchange(t, addr)
			})
		}
	}
}

var address = regexp.MustCompile(`echo on (\S+)`)

// start runs the program until the test ends, and returns the address that it prints.
func start(t *testing.T, program, backend string) string {
	cmd := exec.Command(program, "-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "OURO_BACKEND="+backend)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
		t.Log(lines.Text())
	}
	t.Fatal("the program ended before it listened")
	return ""
}

// exchange sends on several connections at the same time and expects to have it back.
func exchange(t *testing.T, addr string) {
	const conns, bytesEach = 8, 256 << 10
	errs := make(chan error, conns)
	for i := range conns {
		go func() { errs <- echoed(addr, int64(i), bytesEach) }()
	}
	for range conns {
		require.NoError(t, <-errs)
	}
}

func echoed(addr string, seed int64, n int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil { // against hanging only
		return err
	}
	sent := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(sent)
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		written <- err
	}()
	got := make([]byte, n)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return io.ErrUnexpectedEOF
	}
	return <-written
}
