package pattern

import (
	"embed"
	"strings"

	"github.com/ouro-io/ouro/bench/protocol"
)

//go:embed *.go
var sources embed.FS

// Pattern is one way to write the service.
type Pattern struct {
	// Name is also that of its file; About explains it in a line.
	Name, About string
	// Serve runs the server and returns only on failure.
	Serve func(*protocol.Server) error
	// Asks is the question of the decision tree whose answer "yes" leads here.
	Asks string
}

// All lists the patterns from the least to the most abstract.
func All() []Pattern {
	return []Pattern{
		{Name: "reactor", About: "readiness handlers on a loop, system calls of one's own (reactorfallback.Loop)", Serve: serveReactor,
			Asks: "Do you bring descriptors that no library knows, or port a readiness loop?"},
		{Name: "proactor", About: "completion callbacks with leased buffers", Serve: serveProactor,
			Asks: "Is it high-concurrency I/O where every byte and every microsecond counts?"},
		{Name: "coroutines", About: "blocking code on the engine's coroutines (net.Serve)", Serve: serveCoroutines,
			Asks: "Is it high-concurrency I/O that you want to read like blocking code?"},
		{Name: "csp", About: "channels of what arrives and what is to be sent (csp.FromConn, csp.ToConn)", Serve: serveCSP,
			Asks: "Do stages of one program pass messages to each other?"},
		{Name: "streams", About: "a source of leases into a sink (stream.Leases, stream.WriteLeases)", Serve: serveStreams,
			Asks: "Is it stream processing: frames to split, map, batch or window, with backpressure?"},
		{Name: "futures", About: "each echo a future: read, then write (future.Go, future.Then)", Serve: serveFutures,
			Asks: "Are there many results to wait for at once, to combine, to time out or to retry?"},
		{Name: "actors", About: "an actor per connection, whose messages are what arrives (actor.SpawnConn)", Serve: serveActors,
			Asks: "Do parts with state of their own send each other messages, and fail and start anew by themselves?"},
		{Name: "goroutines", About: "a goroutine per connection (package net's own way)", Serve: serveGoroutines,
			Asks: "Does the work behind a request outweigh the I/O?"},
	}
}

// Lines is the number of lines of code of pattern name, 0 when there is none.
func Lines(name string) int {
	src, err := sources.ReadFile(name + ".go")
	if err != nil {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(src)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}
