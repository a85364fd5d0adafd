package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

var address = regexp.MustCompile(`files on (\S+)`)

// TestFileServer builds and runs the program as a user would, on each backend.
func TestFileServer(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command: ", err)
	}
	program := filepath.Join(t.TempDir(), "fileserver")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	dir := t.TempDir()
	content := make([]byte, 5<<20)
	for i := range content {
		content[i] = byte(i) ^ byte(i>>8)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), content, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	for _, backend := range []string{"auto", "epoll"} {
		t.Run(backend, func(t *testing.T) {
			url := "http://" + start(t, backend, program, "-addr", "127.0.0.1:0", "-dir", dir)
			status, body := get(t, url+"/big", "")
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, string(content), body)
			status, body = get(t, url+"/big", "bytes=1000000-1000099")
			require.Equal(t, http.StatusPartialContent, status)
			require.Equal(t, string(content[1_000_000:1_000_100]), body)
			status, body = get(t, url+"/", "")
			require.Equal(t, http.StatusOK, status)
			require.Contains(t, body, "sub/")
			status, _ = get(t, url+"/none", "")
			require.Equal(t, http.StatusNotFound, status)
		})
	}
}

func get(t *testing.T, url, part string) (int, string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if part != "" {
		req.Header.Set("Range", part)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// start runs the program until the test ends, and returns the address that it prints.
func start(t *testing.T, backend, program string, args ...string) string {
	cmd := exec.Command(program, args...)
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
