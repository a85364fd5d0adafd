//go:build linux

package proactor

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/reactorfallback"
)

// unwaiting is a backend that does not wait for connections as long as it is told so: each accept finds that nobody has come.
type unwaiting struct {
	op.Backend
	on      atomic.Bool
	accepts atomic.Int64
	accept  *op.Op
}

func (b *unwaiting) Submit(o *op.Op) error {
	if o.Kind == op.Accept && b.on.Load() {
		b.accepts.Add(1)
		b.accept = o
		return nil
	}
	return b.Backend.Submit(o)
}

func (b *unwaiting) Poll(wait time.Duration) (int, error) {
	if o := b.accept; o != nil {
		b.accept = nil
		o.Done.Complete(o, &op.Completion{Errno: syscall.EAGAIN})
		return 1, nil
	}
	return b.Backend.Poll(wait)
}

// Where the kernel does not wait for connections, as some do not when another process that has the listener made it non-blocking,
// the acceptor looks for them now and then.
func TestAcceptWithoutWaiting(t *testing.T) {
	b := new(unwaiting)
	e := newEngine(t, Config{
		Workers: 1, Backend: Epoll,
		backend: func(int) (op.Backend, error) {
			r, err := reactorfallback.New(reactorfallback.Config{})
			b.Backend = r
			return b, err
		},
	})
	b.on.Store(true)
	got := make(chan *Conn, 1)
	l := listen(t)
	began := time.Now()
	a, err := e.Accept(l, func(c *Conn) { got <- c })
	require.NoError(t, err)
	defer a.Close()
	eventually(t, "several accepts", func() bool { return b.accepts.Load() >= 3 })
	looks := b.accepts.Load()
	require.LessOrEqual(t, looks, 2+int64(time.Since(began)/shortestPause), "it rests in between")
	b.on.Store(false)
	dial(t, l)
	require.NoError(t, within(t, got).Close())
}
