package natsremote

import (
	"fmt"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

// errorHeader carries the text of an error in an answer.
const errorHeader = "Ouro-Error"

// questionHeader marks what Ask sends.
const questionHeader = "Ouro-Ask"

// maxError bounds the bytes of that text: an error may quote what it is about, and a message has a limit.
const maxError = 4096

// sender is who sent a message, and may wait for an answer.
type sender struct{ m *nats.Msg }

func (s sender) waits() bool { return s.m.Reply != "" }

func (s sender) asks() bool { return s.m.Header.Get(questionHeader) != "" }

// answer gives b, or the error. One of the two reaches who waits unless the connection is lost.
func (s sender) answer(b []byte, err error) {
	if !s.waits() {
		return
	}
	answer := nats.NewMsg(s.m.Reply)
	if err == nil {
		answer.Data = b
		if err = s.m.RespondMsg(answer); err == nil {
			return
		}
		err = fmt.Errorf("the answer cannot be sent: %w", err) // too long, most likely
		answer.Data = nil
	}
	answer.Header.Set(errorHeader, shorten(err.Error()))
	if s.m.RespondMsg(answer) == nil {
		return
	}
	answer.Header.Set(errorHeader, "an error, whose text cannot be sent")
	_ = s.m.RespondMsg(answer) // no connection: who asked learns of a failure by the time
}

// shorten cuts a text off after maxError bytes, between runes.
func shorten(text string) string {
	if len(text) <= maxError {
		return text
	}
	end := maxError
	for end > maxError-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
