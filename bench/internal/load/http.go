package load

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/ouro-io/ouro/bench/protocol"
)

// httpRequest is what browsers send, cut down to what servers look at.
const httpRequest = "GET /plaintext HTTP/1.1\r\nHost: bench\r\nAccept: text/plain\r\nConnection: keep-alive\r\n\r\n"

// httpCodec checks status, length and body of every answer. A head that is the same, byte for byte, as the last one
// that was parsed need not be parsed again; it changes once a second, with the date.
type httpCodec struct {
	head []byte
}

func (*httpCodec) append(b []byte, _ int, _ uint64) []byte { return append(b, httpRequest...) }

var endOfHead = []byte("\r\n\r\n")

func (h *httpCodec) next(b []byte, conn int, _ uint64) (int, error) {
	if len(h.head) == 0 || !bytes.HasPrefix(b, h.head) {
		i := bytes.Index(b, endOfHead)
		if i < 0 {
			return 0, nil
		}
		head := b[:i+len(endOfHead)]
		if err := checkHead(string(head)); err != nil {
			return 0, fmt.Errorf("connection %d: %w", conn, err)
		}
		h.head = append(h.head[:0], head...)
	}
	body := b[len(h.head):]
	if len(body) < len(protocol.PlainText) {
		return 0, nil
	}
	if string(body[:len(protocol.PlainText)]) != protocol.PlainText {
		return 0, fmt.Errorf("connection %d: the body is %q", conn, body[:len(protocol.PlainText)])
	}
	return len(h.head) + len(protocol.PlainText), nil
}

// checkHead accepts an answer of status 200 whose length is that of the body expected (RFC 9112).
func checkHead(head string) error {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
	if f := strings.Fields(lines[0]); len(f) < 2 || f[0] != "HTTP/1.1" || f[1] != "200" {
		return fmt.Errorf("the answer begins with %q", lines[0])
	}
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ":")
		switch {
		case strings.EqualFold(k, "Content-Length"):
			if n, err := strconv.Atoi(strings.TrimSpace(v)); err != nil || n != len(protocol.PlainText) {
				return fmt.Errorf("the answer has %q", l)
			}
			return nil
		case strings.EqualFold(k, "Transfer-Encoding"), strings.EqualFold(k, "Connection") && strings.Contains(v, "close"):
			return fmt.Errorf("the answer has %q", l)
		}
	}
	return fmt.Errorf("the answer has no length: %q", head)
}
