package main

// module is somebody's code whose own tests are run with its "net" imports changed to ours.
type module struct {
	path, version string
	// packages to test, ./... by default.
	packages []string
	// skip is a pattern of tests that cannot run here, with std either: they need the Internet, or take minutes.
	skip string
	// short runs the tests with -short, where they take longer than -timeout otherwise.
	short bool
	// std lists files that have to keep the standard library's import, with the reason: docs/dropin.md has the list.
	std map[string]string
}

// tlsDialer is why a file keeps the standard library's import.
const tlsDialer = "crypto/tls names the standard library's *net.Dialer in its API (Dialer.NetDialer, DialWithDialer)"

// modules are the ones chosen: servers and clients of many protocols, stream multiplexers, packet protocols, and code that
// is known to look closely at its connections.
var modules = []module{
	{path: "github.com/coder/websocket", version: "v1.8.15", packages: []string{"."}},
	{path: "github.com/elazarl/goproxy", version: "v1.9.2"},
	{path: "github.com/emersion/go-imap", version: "v1.2.1"},
	{path: "github.com/emersion/go-smtp", version: "v0.25.1", std: map[string]string{"client.go": tlsDialer}},
	{path: "github.com/gliderlabs/ssh", version: "v0.3.8"},
	{path: "github.com/gorilla/websocket", version: "v1.5.3"},
	{path: "github.com/hashicorp/yamux", version: "v0.1.2"},
	{path: "github.com/jlaffaye/ftp", version: "v0.2.4", std: map[string]string{"ftp.go": tlsDialer, "client_test.go": "gives ftp.go its Dialer"}},
	{path: "github.com/libp2p/go-yamux/v5", version: "v5.1.0"},
	{path: "github.com/miekg/dns", version: "v1.1.73", std: map[string]string{"client.go": tlsDialer, "client_test.go": "gives client.go its Dialer"}},
	{path: "github.com/mochi-mqtt/server/v2", version: "v2.7.9"},
	{path: "github.com/nats-io/nats.go", version: "v1.53.1", packages: []string{"."}},
	{path: "github.com/pion/turn/v4", version: "v4.1.4"},
	{path: "github.com/pires/go-proxyproto", version: "v0.8.1"},
	{path: "github.com/pkg/sftp", version: "v1.13.12"},
	{path: "github.com/quic-go/quic-go", version: "v0.61.0", packages: []string{".", "./http3"}},
	{path: "github.com/rabbitmq/amqp091-go", version: "v1.16.0"},
	{path: "github.com/soheilhy/cmux", version: "v0.1.5"},
	{path: "github.com/tidwall/redcon", version: "v1.6.4"},
	{path: "github.com/valyala/fasthttp", version: "v1.74.0"},
	{path: "github.com/xtaci/smux", version: "v1.5.58"},
	{path: "net", version: "of Go"},
	{path: "net/http", version: "of Go", short: true},
	{path: "google.golang.org/grpc", version: "v1.84.0", packages: []string{"./internal/transport"}},
}
