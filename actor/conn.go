package actor

import (
	"errors"
	"fmt"
	"io"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/routine"
	"github.com/ouro-io/ouro/stream"
)

// Conn makes the frames of a connection the messages of an actor.
type Conn[M any] struct {
	// Conn is the connection, which SpawnConn takes over: it is closed when the actor ends. One of this module's net
	// package is read without copying when the executor is its engine's.
	Conn io.ReadWriteCloser
	// Frames cuts what is read; nil means stream.Lines with its default bound.
	Frames func(chunks stream.Stream[[]byte]) stream.Stream[[]byte]
	// Decode makes a message of a frame, which is valid during the call only. An error ends the connection.
	Decode func(frame []byte) (M, error)
	// Closed makes the last message, which tells why no more will come: nil at the end of the stream. Without it there is
	// none. Once it is handled the actor ends.
	Closed func(err error) M
}

// SpawnConn starts an actor that is told the frames of a connection, in order, besides what others tell it. A full mailbox
// stops the reading, whatever Overflow says, and with it the peer; a restart keeps the connection. Behaviors write to the
// connection themselves. When SpawnConn fails the connection is closed.
func SpawnConn[M any](parent Parent, p Props[M], c Conn[M]) (Ref[M], error) {
	if c.Conn == nil || c.Decode == nil {
		err := errors.New("actor: Conn needs a Conn and a Decode")
		if c.Conn != nil {
			err = errors.Join(err, c.Conn.Close())
		}
		return Ref[M]{}, err
	}
	after := p.Stopped
	p.Stopped = func(x *Context[M]) {
		_ = c.Conn.Close() // ends the reader too
		if after != nil {
			after(x)
		}
	}
	r, err := Spawn(parent, p)
	if err != nil {
		return r, errors.Join(err, c.Conn.Close())
	}
	a := r.t.(*actor[M])
	err = a.home.Start(new(executor.Coroutine), executor.Spawn{
		Run: func() {
			ended := func(err error) {
				if c.Closed != nil {
					_ = a.tellWaiting(c.Closed(err))
				}
				r.Drain()
			}
			ended(routine.Catch(func() error { return c.read(a) }, ended))
		},
		Priority: p.Priority,
	})
	if err != nil {
		r.Stop()
		return Ref[M]{}, fmt.Errorf("actor: the reader of %s was not started: %w", a.path, err)
	}
	return r, nil
}

// read tells a the frames until the stream ends.
func (c *Conn[M]) read(a *actor[M]) error {
	frames := stream.Read(c.Conn)
	if c.Frames != nil {
		frames = c.Frames(frames)
	} else {
		frames = stream.Lines(frames, 0)
	}
	return frames.ForEach(a.ctx, func(frame []byte) error {
		m, err := c.Decode(frame)
		if err != nil {
			return fmt.Errorf("actor: %s: a frame makes no sense: %w", a.path, err)
		}
		return a.tellWaiting(m)
	})
}
