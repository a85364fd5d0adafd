//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A real nginx is the peer on both sides: our client asks it for files, and it passes requests on to our server.
func TestNginx(t *testing.T) {
	path := need(t, "nginx", "nginx-light")
	eachStack(t, func(t *testing.T, s stack) {
		file, content := tempFile(t, 8<<20)
		require.NoError(t, os.Chmod(filepath.Dir(file), 0o755))
		require.NoError(t, os.Chmod(file, 0o644))
		l := s.listen(t)
		serveHTTP(t, l, app(file), nil)
		dir, port := t.TempDir(), freePort(t)
		config := fmt.Sprintf(nginxConfig, dir, port, filepath.Dir(file), l.Addr())
		require.NoError(t, os.WriteFile(dir+"/nginx.conf", []byte(config), 0o600))
		start(t, "tcp", "127.0.0.1:"+port, path, "-c", dir+"/nginx.conf", "-e", dir+"/error.log", "-p", dir)
		c := client(t, s, nil)
		t.Run("its files", func(t *testing.T) { getsFile(t, c, "http://127.0.0.1:"+port+"/static", content) })
		t.Run("our files", func(t *testing.T) { getsFile(t, c, "http://127.0.0.1:"+port, content) })
		t.Run("upload", func(t *testing.T) { uploads(t, c, "http://127.0.0.1:"+port, "HTTP/1.1") })
		t.Run("many at once", func(t *testing.T) { manyRequests(t, c, "http://127.0.0.1:"+port) })
	})
}

// One process in the foreground, everything that it writes below the test's folder.
const nginxConfig = `
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 512; }
http {
	access_log off; client_max_body_size 0; sendfile on;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	upstream ours { server %[4]s; keepalive 8; }
	server {
		listen 127.0.0.1:%[2]s;
		location /static/ { alias %[3]s/; }
		location / { proxy_pass http://ours; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; }
	}
}
`
