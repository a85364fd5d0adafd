package protocol

import "bytes"

// PlainResponse is a whole answer, for servers without an HTTP library.
const PlainResponse = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n" + PlainText

var endOfRequest = []byte("\r\n\r\n")

// Answers returns an answer for each whole request (without a body) in b, and how many bytes those took. It does no
// more than it must, as the limit of what a server may gain by knowing its only request.
func Answers(out, b []byte) (answers []byte, used int) {
	for {
		i := bytes.Index(b[used:], endOfRequest)
		if i < 0 {
			return out, used
		}
		used += i + len(endOfRequest)
		out = append(out, PlainResponse...)
	}
}
