//go:build linux

package actor

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/worldtest"
)

// closer is a connection that knows whether it was closed.
type closer struct{ closed bool }

func (c *closer) Read([]byte) (int, error)    { return 0, errBoom }
func (c *closer) Write(b []byte) (int, error) { return len(b), nil }
func (c *closer) Close() error                { c.closed = true; return nil }

// A SpawnConn that fails closes the connection, whatever is missing.
func TestFailedSpawnConnCloses(t *testing.T) {
	s := newSystem(t, 1, Config{})
	decode := func([]byte) (int, error) { return 0, nil }
	for what, try := range map[string]struct {
		props Props[int]
		conn  Conn[int]
	}{
		"Decode": {idler(), Conn[int]{}},
		"New":    {Props[int]{}, Conn[int]{Decode: decode}},
	} {
		var c closer
		try.conn.Conn = &c
		_, err := SpawnConn(s, try.props, try.conn)
		require.ErrorContains(t, err, what)
		require.True(t, c.closed, what)
	}
	_, err := SpawnConn(s, idler(), Conn[int]{Decode: decode})
	require.Error(t, err)
}

// A name that is made up is one that nobody has taken.
func TestMadeUpNameIsFree(t *testing.T) {
	s := newSystem(t, 1, Config{})
	for i := range 3 {
		p := idler()
		p.Name = fmt.Sprintf("$%d", i+1)
		spawn(t, s, p)
	}
	require.Equal(t, "/$4", spawn(t, s, idler()).Path())
}

// An actor that stops itself ends its Context, and the handlers of its children theirs.
func TestContextEndsWithOwnStop(t *testing.T) {
	s := newSystem(t, 2, Config{})
	causes := make(chan error, 1)
	r := spawn(t, s, simple(func(c *Context[int], _ int) error {
		c.Stop()
		ctx := worldtest.Within(t)
		select {
		case <-c.Context().Done():
			causes <- context.Cause(c.Context())
		case <-ctx.Done():
			causes <- nil
		}
		return nil
	}))
	tellAll(t, r, 1)
	ended(t, r)
	require.ErrorIs(t, <-causes, context.Canceled)
}

// The error of a Spawn after Shutdown says what has stopped.
func TestSpawnAfterShutdown(t *testing.T) {
	s, err := NewSystem(Config{})
	require.NoError(t, err)
	require.NoError(t, s.Shutdown(worldtest.Within(t)))
	_, err = Spawn(s, idler())
	require.ErrorIs(t, err, ErrStopped)
	require.ErrorContains(t, err, "the system")
}
