//go:build linux

package simkernel

import (
	"bytes"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/op"
)

// toldOf keeps what it is told.
type toldOf []op.Completion

func (t *toldOf) Complete(_ *op.Op, c *op.Completion) { *t = append(*t, *c) }

// A lender is a connection, and a backend, of a kernel that watches.
type lender struct {
	t    *testing.T
	k    *Kernel
	b    *Backend
	fd   int
	peer *Remote
}

func newLender(t *testing.T, c Config) lender {
	c.Watch = true
	k := New(c)
	b, err := k.NewBackend(BackendConfig{})
	require.NoError(t, err)
	l, port := k.Listen(1)
	peer := k.Dial(port)
	fd, errno := k.take(k.files[l].socket, true)
	require.Zero(t, errno)
	require.Zero(t, k.Close(l, op.Orderly))
	return lender{t, k, b, fd, peer}
}

// send submits a send without a copy of ps.
func (l lender) send(ps ...[]byte) (*op.Op, *toldOf) {
	got := new(toldOf)
	o := &op.Op{Kind: op.SendZC, Done: got, FD: int32(l.fd), Buf: ps[0]}
	if len(ps) > 1 {
		h := new(unix.Msghdr)
		vs := make([]unix.Iovec, len(ps))
		for i, p := range ps {
			vs[i].Base = &p[0]
			vs[i].SetLen(len(p))
		}
		h.Iov = &vs[0]
		h.SetIovlen(len(vs))
		o.Kind = op.SendMsgZC
		o.SetMsg(h)
	}
	require.NoError(l.t, l.b.Submit(o))
	return o, got
}

func (l lender) poll() {
	_, err := l.b.Poll(0)
	require.NoError(l.t, err)
}

// read is what the peer can read.
func (l lender) read() []byte {
	p := make([]byte, 1000)
	n, _ := l.peer.Recv(p)
	return p[:n]
}

// done ends all; the kernel has nothing to say but what is expected.
func (l lender) done(violations ...string) {
	l.t.Helper()
	require.NoError(l.t, l.b.Close())
	if l.k.files[l.fd] != nil {
		require.Zero(l.t, l.k.Close(l.fd, op.Reset))
	}
	l.peer.Close(true)
	got := l.k.Violations()
	require.Len(l.t, got, len(violations))
	for i, v := range violations {
		require.Contains(l.t, got[i], v)
	}
}

// TestLoan: the memory is the kernel's until the last byte has left, and is read then.
func TestLoan(t *testing.T) {
	l := newLender(t, Config{ReceiveBuffer: 50})
	l.k.Freeze(true)
	a, b := bytes.Repeat([]byte("a"), 30), bytes.Repeat([]byte("b"), 50)
	_, got := l.send(a, b)
	require.True(t, l.k.Lent(a[29:]), "from Submit on")
	l.poll()
	require.Equal(t, toldOf{{Result: 80, More: true}}, *got)
	l.poll()
	require.Len(t, *got, 1)

	l.k.Freeze(false)
	l.poll() // 50 leave, for more the peer has no room
	require.Len(t, *got, 1)
	require.True(t, l.k.Lent(b[49:]))
	require.True(t, l.k.Lent(a), "all of an operation's")
	require.Equal(t, append(a, b[:20]...), l.read())
	l.poll()
	require.Equal(t, op.Completion{}, (*got)[1])
	require.False(t, l.k.Lent(a) || l.k.Lent(b))
	require.Equal(t, b[20:], l.read())
	l.done()
}

// TestLoanBroken: who writes to the memory too early sends what he writes, and is found out; as is who closes too early.
func TestLoanBroken(t *testing.T) {
	l := newLender(t, Config{})
	l.k.Freeze(true)
	p := []byte("0123")
	_, got := l.send(p)
	l.poll()
	p[0] = 'x'
	require.Zero(t, l.k.Close(l.fd, op.Orderly))
	l.k.Freeze(false)
	l.poll()
	require.Len(t, *got, 2)
	require.Equal(t, "x123", string(l.read()))
	l.done("was closed while the kernel reads", "was written while it was the kernel's")
}

// TestLoanEnds: what ends an operation half-way has it tell its count, and the notification follows; what ends it at the start is
// all that is told. A reset frees the memory at once, and a backend that is closed leaves none with the kernel.
func TestLoanEnds(t *testing.T) {
	l := newLender(t, Config{SendBuffer: 100})
	l.k.Freeze(true)
	p := make([]byte, 150)
	o, got := l.send(p)
	l.poll()
	second, refused := l.send(p[:10])
	l.poll()
	require.Empty(t, append(*got, *refused...), "there is no room")
	l.b.Cancel(o)
	l.b.Cancel(second)
	l.poll()
	require.Equal(t, toldOf{{Result: 100, More: true}}, *got)
	require.Equal(t, toldOf{{Errno: syscall.ECANCELED}}, *refused)
	l.b.Cancel(o) // finds nothing
	l.k.Freeze(false)
	l.poll()
	require.Len(t, *got, 2)

	l.k.Freeze(true)
	_, got = l.send(p)
	l.poll()
	l.peer.Close(true)
	l.poll()
	require.Len(t, *got, 2, "half of it was taken; then the reset freed it")
	require.False(t, l.k.Lent(p))
	require.Zero(t, l.k.Close(l.fd, op.Orderly))
	require.NoError(t, l.b.Close())
	require.Empty(t, l.k.Violations())

	m := newLender(t, Config{Faults: Faults{Hold: 1000}})
	_, got = m.send(p)
	m.poll()
	require.Len(t, *got, 1, "nobody has read it")
	q := []byte("late")
	m.k.Freeze(true)
	_, late := m.send(q)
	m.poll()
	require.Len(t, *late, 1)
	require.NoError(t, m.b.Close())
	require.Len(t, *got, 2)
	require.Len(t, *late, 2)
	clear(q)
	m.k.Freeze(false)
	m.k.Run()
	require.Equal(t, append(p, "late"...), m.read())
	m.done()
}

// TestLoanRefused: a send without a copy may be refused, for now or for the socket; then nothing was sent.
func TestLoanRefused(t *testing.T) {
	for _, c := range []struct {
		chooser Chooser
		want    [2]syscall.Errno
	}{
		{Dull{}, [...]syscall.Errno{syscall.ENOMEM, 0}},
		{always{}, [...]syscall.Errno{syscall.EOPNOTSUPP, syscall.EOPNOTSUPP}},
	} {
		l := newLender(t, Config{Faults: Faults{Deny: 1000}, Chooser: c.chooser})
		for _, want := range c.want {
			o, got := l.send([]byte("x"))
			for o.InFlight() {
				l.poll()
			}
			require.Equal(t, want, (*got)[0].Errno)
			l.k.cfg.Faults.Deny = 0
		}
		l.done()
	}
}
