//go:build linux

package simkernel

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/dgram"
	"github.com/ouro-io/ouro/internal/op"
)

// message is one to receive into, or to send, with room for a name and for control data.
func message(p []byte) (m dgram.Msg, name, control []byte) {
	name, control = make([]byte, dgram.NameBytes), make([]byte, 64)
	m.Hdr = unix.Msghdr{Name: &name[0], Namelen: uint32(len(name)), Iov: &unix.Iovec{Base: &p[0]}, Control: &control[0]}
	m.Hdr.Iov.SetLen(len(p))
	m.Hdr.SetIovlen(1)
	m.Hdr.SetControllen(len(control))
	return m, name, control
}

// always chooses the last.
type always struct{}

func (always) Choose(n int) int { return n - 1 }

// TestGramFates: each datagram has the end that it should, and the sender is told what a sender is told.
func TestGramFates(t *testing.T) {
	k := New(Config{ReceiveBuffer: 200})
	fd, a := k.UDP(0, false)
	away := k.RemoteUDP()
	require.Zero(t, away.Send(a.Port(), make([]byte, 150)))
	require.Zero(t, away.Send(a.Port(), make([]byte, 150))) // there is room as long as something is free
	require.Zero(t, away.Send(9, []byte("nobody")))
	k.Run()
	sent := away.State().Sent
	require.Equal(t, []Fate{Arrived, Dropped, Refused}, []Fate{sent[0].Fate, sent[1].Fate, sent[2].Fate})

	p := make([]byte, 100)
	m, name, _ := message(p)
	n, errno := k.RecvMsg(fd, &m.Hdr)
	require.Zero(t, errno)
	require.Equal(t, 100, n)
	require.EqualValues(t, unix.MSG_TRUNC, m.Hdr.Flags)
	from, _ := dgram.ParseName(name[:m.Hdr.Namelen])
	require.Equal(t, addrPort(away.Port()), from)
	require.Equal(t, Datagram{From: away.Port(), To: a.Port(), Payload: make([]byte, 150), Fate: Taken, Room: 100, Cut: true}, *sent[0])
	_, errno = k.RecvMsg(fd, &m.Hdr)
	require.Equal(t, syscall.EAGAIN, errno)

	// A connected socket is told of a refusal once.
	away.Close()
	c, g := k.UDP(away.Port(), false)
	m, _, _ = message([]byte("hello"))
	m.Hdr.Name, m.Hdr.Namelen, m.Hdr.Control = nil, 0, nil
	m.Hdr.SetControllen(0)
	sends := func() syscall.Errno {
		_, errno := k.SendMsgs(c, []dgram.Msg{m})
		k.Run()
		return errno
	}
	require.Equal(t, []syscall.Errno{0, syscall.ECONNREFUSED, 0}, []syscall.Errno{sends(), sends(), sends()})
	require.Equal(t, 1, g.Failed(syscall.ECONNREFUSED))
	for _, fd := range []int{fd, c} {
		require.Zero(t, k.Close(fd, op.Orderly))
	}
	require.Empty(t, k.Violations())
}

// TestGramSegments: what one send is cut into comes joined, and what finds no room is cut off.
func TestGramSegments(t *testing.T) {
	k := New(Config{Chooser: always{}})
	fd, g := k.UDP(0, true)
	from, _ := k.UDP(g.Port(), false)
	m, _, control := message(make([]byte, 250))
	m.Hdr.Name, m.Hdr.Namelen = nil, 0
	m.Hdr.SetControllen(dgram.PutSegment(control, 100))
	n, errno := k.SendMsgs(from, []dgram.Msg{m})
	require.Zero(t, errno)
	require.Equal(t, 1, n)
	k.Run()
	require.Equal(t, 3, g.State().Waiting)
	in, _, control := message(make([]byte, 130))
	n, errno = k.RecvMsg(fd, &in.Hdr)
	require.Zero(t, errno)
	require.Equal(t, 130, n)
	require.Equal(t, 100, dgram.Segment(control[:in.Hdr.Controllen]))
	taken := g.State().Taken
	require.Len(t, taken, 2)
	require.Equal(t, []int{100, 30}, []int{taken[0].Room, taken[1].Room})
	require.False(t, taken[0].Cut)
	require.True(t, taken[1].Cut)
	for _, fd := range []int{fd, from} {
		require.Zero(t, k.Close(fd, op.Orderly))
	}
}
