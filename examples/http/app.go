package main

import (
	"io"
	"net/http"
	"slices"

	"github.com/valyala/fasthttp"
)

// limit is the largest body that is taken, in bytes.
const limit = 1 << 20

// answer is the application: it knows of no HTTP library.
func answer(method, path string, body []byte) (status int, text []byte) {
	switch {
	case path == "/" && method == http.MethodGet:
		return http.StatusOK, []byte("Hello, World!")
	case path == "/reverse" && method == http.MethodPost:
		text = slices.Clone(body)
		slices.Reverse(text)
		return http.StatusOK, text
	case path == "/" || path == "/reverse":
		return http.StatusMethodNotAllowed, []byte("method not allowed\n")
	}
	return http.StatusNotFound, []byte("not found\n")
}

// handle is answer for net/http.
func handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
		return
	}
	status, text := answer(r.Method, r.URL.Path, body)
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has left needs no answer
}

// handleFast is answer for fasthttp.
func handleFast(ctx *fasthttp.RequestCtx) {
	if len(ctx.PostBody()) > limit {
		ctx.Error("body too large", http.StatusRequestEntityTooLarge)
		return
	}
	status, text := answer(string(ctx.Method()), string(ctx.Path()), ctx.PostBody())
	ctx.SetContentType("text/plain")
	ctx.SetStatusCode(status)
	ctx.SetBody(text)
}
