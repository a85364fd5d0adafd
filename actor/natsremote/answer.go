package natsremote

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// errorHeader carries the text of an error in an answer.
const errorHeader = "Ouro-Error"

// sender is who sent a message, and may wait for an answer.
type sender struct{ m *nats.Msg }

func (s sender) waits() bool { return s.m.Reply != "" }

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
	answer.Header.Set(errorHeader, err.Error())
	_ = s.m.RespondMsg(answer) // no connection: who asked learns of a failure by the time
}
