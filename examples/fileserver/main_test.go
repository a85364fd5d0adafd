package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/exampletest"
)

// TestFileServer builds and runs the program as a user would, on each backend.
func TestFileServer(t *testing.T) {
	program := filepath.Join(exampletest.Build(t), "fileserver")
	dir := t.TempDir()
	content := make([]byte, 5<<20)
	for i := range content {
		content[i] = byte(i) ^ byte(i>>8)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), content, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	require.Contains(t, exampletest.Refused(t, program, "-addr", "127.0.0.1:0", "-dir", filepath.Join(dir, "none")), "none: no such file")
	require.Contains(t, exampletest.Refused(t, program, "-addr", "127.0.0.1:0", "-dir", filepath.Join(dir, "big")), "big: not a directory")
	for _, backend := range []string{"auto", "epoll"} {
		t.Run(backend, func(t *testing.T) {
			url := "http://" + exampletest.Start(t, backend, program, "-addr", "127.0.0.1:0", "-dir", dir)
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
