//go:build linux

package net

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/proactor"
)

// gramPair makes a socket on a name and one that is connected to it, on a name of its own.
func gramPair(r *record, listen func(string, *UnixAddr) (unixConn, error), dial func(string, *UnixAddr, *UnixAddr) (unixConn, error)) (l, d unixConn) {
	_, at := r.address("unix")
	_, from := r.address("unix")
	r.name(at, "LISTENER", from, "DIALER")
	l, err := listen("unixgram", &UnixAddr{Name: at, Net: "unixgram"})
	require.NoError(r.t, err)
	d, err = dial("unixgram", &UnixAddr{Name: from, Net: "unixgram"}, &UnixAddr{Name: at, Net: "unixgram"})
	require.NoError(r.t, err)
	r.t.Cleanup(func() { l.Close(); d.Close() })
	return l, d
}

// TestUnixgram compares datagrams over Unix sockets: bounds, senders, empty ones, descriptors, errors that end nothing.
func TestUnixgram(t *testing.T) {
	compare(t, func(r *record) {
		l, d := gramPair(r, r.api.listenGram, r.api.dialGram)
		b, oob := make([]byte, 16), make([]byte, 128)
		read := func(c unixConn) {
			n, from, err := c.ReadFromUnix(b)
			r.note(fmt.Sprint("read ", string(b[:n]), " from ", r.names.Replace(fmt.Sprint(from))), int64(n), err)
		}
		for _, p := range []string{"one", "", "longer than what is read"} {
			n, err := d.Write([]byte(p))
			r.note("write", int64(n), err)
			read(l)
		}
		_, err := d.Write(nil)
		r.err("write nothing", err)
		n, err := l.Read(b)
		r.note("read an empty one", int64(n), err)
		_, err = d.Write([]byte("then"))
		r.err("write", err)
		n, err = l.Read(b)
		r.note("read "+string(b[:n]), int64(n), err)

		// Answers, and what is wrong with others.
		to := d.LocalAddr().(*UnixAddr)
		n, err = l.WriteTo([]byte("answer"), to)
		r.note("write to", int64(n), err)
		read(d)
		n, _, err = l.WriteMsgUnix([]byte("message"), unix.UnixRights(0), to)
		r.note("write message", int64(n), err)
		n, oobn, flags, from, err := d.ReadMsgUnix(b, oob)
		r.note(fmt.Sprint("read message ", string(b[:n]), flags, r.names.Replace(fmt.Sprint(from))), int64(n), err)
		inodeOf(r.t, oob[:oobn])
		n, err = d.WriteToUnix([]byte("x"), to)
		r.note("write to, connected", int64(n), err)
		n, _, err = d.WriteMsgUnix([]byte("x"), nil, to)
		r.note("write message to, connected", int64(n), err)
		n, err = l.WriteToUnix([]byte("x"), nil)
		r.note("write to nobody", int64(n), err)
		n, err = l.WriteToUnix([]byte("x"), &UnixAddr{Name: to.Name, Net: "unix"})
		r.note("write to the wrong kind", int64(n), err)
		n, err = l.WriteToUnix([]byte("x"), &UnixAddr{Name: "/nowhere/at/all", Net: "unixgram"})
		r.note("write to nowhere", int64(n), err)
		n, err = l.Write([]byte("x"))
		r.note("write, not connected", int64(n), err)
		n, err = d.Write(make([]byte, 16<<20))
		r.note("too long", int64(n), err)
		n, err = d.Write([]byte("after"))
		r.note("write after it", int64(n), err)
		read(l)

		raw, err := l.SyscallConn()
		r.err("raw", err)
		_, err = d.Write([]byte("raw"))
		r.err("write", err)
		r.err("raw read", raw.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			return err != unix.EAGAIN
		}))
		r.note("raw read "+string(b[:n]), int64(n), err)

		slices := func(c unixConn, list ...[]byte) {
			n, left, err := slicesTo(c, list...)
			r.note(fmt.Sprint("slices, left ", left), n, err)
		}
		slices(d, []byte("one"), nil, []byte("two"), nil)
		read(l)
		slices(d, nil, nil)
		slices(l, []byte("x"), []byte("y"))

		r.err("past", l.SetReadDeadline(past))
		read(l)
		r.err("soon", l.SetReadDeadline(soon()))
		read(l)
		r.err("none", l.SetReadDeadline(time.Time{}))
		r.err("close", l.Close())
		n, err = d.Write([]byte("gone"))
		r.note("write to a closed one", int64(n), err)
		n, err = d.Write([]byte("gone"))
		r.note("write to a closed one again", int64(n), err)
		r.err("past", d.SetReadDeadline(past))
		read(d)
		r.err("close", d.Close())
		read(d)
		n, err = d.Write([]byte("x"))
		r.note("write, closed", int64(n), err)
		slices(d, nil)
		slices(d, []byte("x"))
		n, err = l.WriteTo([]byte("x"), to)
		r.note("write to, closed", int64(n), err)
	})
}

// TestUnixgramCoroutines: a coroutine that waits for a datagram, or for room, does not hold its worker.
func TestUnixgramCoroutines(t *testing.T) {
	neverHandedOver(t, unixgramCoroutines)
}

// neverHandedOver runs f, which must not hold the worker of e up. Only a worker that is off the CPU for a second is handed over
// all the same, so f may try again.
func neverHandedOver(t *testing.T, f func(t *testing.T, e *proactor.Engine)) {
	e, err := proactor.New(proactor.Config{Workers: 1, StallAfter: time.Second, DemoteAfter: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })
	for attempt := 0; ; attempt++ {
		before := e.Executor().Stats().HandOvers
		f(t, e)
		if e.Executor().Stats().HandOvers == before {
			return
		}
		require.Less(t, attempt, 10, "it holds its worker")
	}
}

func unixgramCoroutines(t *testing.T, e *proactor.Engine) {
	s := On(e)
	r := &record{t: t}
	l, d := gramPair(r, func(n string, a *UnixAddr) (unixConn, error) { return s.ListenUnixgram(n, a) },
		func(n string, la, ra *UnixAddr) (unixConn, error) { return s.DialUnix(n, la, ra) })
	lone, err := s.ListenUnixgram("unixgram", &UnixAddr{Net: "unixgram"})
	require.NoError(t, err)
	defer lone.Close()
	const many = 1000 // more than the kernel keeps (net.unix.max_dgram_qlen)
	got := make(chan int, 1)
	wrote := make(chan error, 3)
	run := func(f func()) { require.NoError(t, e.Executor().Go(f)) }
	run(func() { // the first on the only worker: if it kept that, nobody would write
		n, b := 0, make([]byte, 8)
		for range 3 * many {
			m, _, err := l.ReadFrom(b)
			if err != nil || m != 1 || executor.Current() == nil {
				t.Errorf("read %d after %d, %v; coroutine: %v", m, n, err, executor.Current() != nil)
				l.Close() // which ends the writers
				break
			}
			n++
		}
		got <- n
	})
	for _, write := range []func() error{
		func() error { _, err := d.Write([]byte("x")); return err },
		func() error { _, _, err := slicesTo(d, []byte("z")); return err },
		func() error { _, err := lone.WriteTo([]byte("y"), l.LocalAddr()); return err },
	} {
		run(func() {
			for range many {
				if err := write(); err != nil {
					wrote <- err
					return
				}
			}
			wrote <- nil
		})
	}
	for range 3 {
		require.NoError(t, <-wrote)
	}
	require.Equal(t, 3*many, <-got)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.(*UnixConn).ReadContext(ctx, make([]byte, 1))
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = l.(*UnixConn).ReadContext(ctx, make([]byte, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = d.(*UnixConn).WriteContext(t.Context(), []byte("z"))
	require.NoError(t, err)
	n, err := l.(*UnixConn).ReadContext(t.Context(), make([]byte, 8))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// TestIPConnCoroutine: a coroutine that waits for a raw packet does not hold its worker.
func TestIPConnCoroutine(t *testing.T) {
	probe, err := stdnet.ListenIP("ip4:253", &IPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	if errors.Is(err, os.ErrPermission) {
		t.Skip("raw sockets need CAP_NET_RAW: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, probe.Close())
	neverHandedOver(t, rawCoroutines)
}

func rawCoroutines(t *testing.T, e *proactor.Engine) {
	c, err := On(e).ListenIP("ip4:253", &IPAddr{IP: stdnet.IPv4(127, 0, 0, 1)}) // for experiments, RFC 3692
	require.NoError(t, err)
	defer c.Close()
	got := make(chan string, 1)
	require.NoError(t, e.Executor().Go(func() {
		b := make([]byte, 100)
		n, from, err := c.ReadFromIP(b)
		got <- fmt.Sprint(string(b[:n]), " ", from, " ", err)
	}))
	require.NoError(t, e.Executor().Go(func() { // on the same worker
		if _, err := c.WriteTo([]byte("packet"), &IPAddr{IP: stdnet.IPv4(127, 0, 0, 1)}); err != nil {
			got <- err.Error()
		}
	}))
	require.Equal(t, "packet 127.0.0.1 <nil>", <-got)

	d, err := On(e).DialIP("ip4:253", nil, &IPAddr{IP: stdnet.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer d.Close()
	_, _, err = slicesTo(d, []byte("one "), []byte("packet"))
	require.NoError(t, err)
	b := make([]byte, 100)
	n, _, err := c.ReadFromIP(b)
	require.NoError(t, err)
	require.Equal(t, "one packet", string(b[:n]))
}
