//go:build linux

package ringbackend

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// forbidden are operations that no engine needs, by what they could be misused for.
var forbidden = map[string]func(s *uring.SQE){
	"open a file":     func(s *uring.SQE) { s.Opcode = uring.OpOpenat; s.FD = -100 },
	"remove a file":   func(s *uring.SQE) { s.Opcode = uring.OpUnlinkat; s.FD = -100 },
	"rename a file":   func(s *uring.SQE) { s.Opcode = uring.OpRenameat; s.FD = -100 },
	"command devices": func(s *uring.SQE) { s.Opcode = uring.OpURingCmd },
	"make a socket":   func(s *uring.SQE) { s.Opcode = uring.OpSocket; s.FD = -1 },
	"close":           func(s *uring.SQE) { s.Opcode = uring.OpClose; s.FD = -1 },
	"link entries":    func(s *uring.SQE) { s.PrepNop(); s.Flags = uring.SQEIOLink },
	"fixed file":      func(s *uring.SQE) { s.PrepNop(); s.Flags = uring.SQEFixedFile },
}

// ask submits an entry behind the backend's back and returns the result that the kernel gave it.
func ask(t *testing.T, b *Backend, prepare func(s *uring.SQE)) int32 {
	const name = 1 << 31 // no slot of the table
	s := b.ring.GetSQE()
	require.NotNil(t, s)
	prepare(s)
	s.UserData = name
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		_, errno := b.ring.SubmitAndWait(1, time.Second)
		require.Contains(t, []syscall.Errno{0, syscall.EINTR, syscall.ETIME}, errno)
		for {
			c, ok := b.ring.Next()
			if !ok {
				break
			}
			if c.UserData == name {
				b.ring.PublishHead()
				return c.Res
			}
		}
		b.ring.PublishHead()
	}
	t.Fatal("no completion")
	return 0
}

// What no engine needs is refused by the kernel itself; a ring without restrictions shows that the refusal is theirs.
func TestRestricted(t *testing.T) {
	closed, free := open(t, Config{}), open(t, Config{Restrict: RestrictNone})
	defer func() { require.NoError(t, errors.Join(closed.Close(), free.Close())) }()
	for what, prepare := range forbidden {
		t.Run(what, func(t *testing.T) {
			require.Equal(t, -int32(syscall.EACCES), ask(t, closed, prepare))
			require.NotEqual(t, -int32(syscall.EACCES), ask(t, free, prepare))
		})
	}
	t.Run("register", func(t *testing.T) {
		_, err := closed.ring.RegisterPersonality()
		require.ErrorIs(t, err, syscall.EACCES)
		id, err := free.ring.RegisterPersonality()
		require.NoError(t, err)
		require.NoError(t, free.ring.UnregisterPersonality(id))
	})
}

// Every kind of operation passes the kernel's check under the default; on files, only where they are asked for. What a
// bad descriptor is told then is no matter, as long as it is not EACCES.
func TestRestrictedPermitsWhatIsUsed(t *testing.T) {
	for _, r := range []Restrict{RestrictUsed, RestrictSockets, RestrictNone} {
		b := open(t, Config{Restrict: r})
		for k := op.Kind(0); known(k); k++ {
			if k == op.Poll || k == op.Recv || k == op.RecvMsg {
				continue // with results of their own; the contract's tests submit them
			}
			var got *op.Completion
			o := &op.Op{Kind: k, FD: -1, Buf: make([]byte, 64), Done: completer(func(c *op.Completion) { got = &op.Completion{Errno: c.Errno} })}
			err := b.Submit(o)
			if r == RestrictSockets && k.OnFile() {
				require.ErrorIs(t, err, syscall.EACCES, k)
				require.ErrorContains(t, err, "sockets")
				continue
			}
			require.NoError(t, err, k)
			for got == nil {
				_, err := b.Poll(time.Second)
				require.NoError(t, err)
			}
			require.NotEqual(t, syscall.EACCES, got.Errno, k)
		}
		require.NoError(t, b.Close())
	}
}

type completer func(c *op.Completion)

func (f completer) Complete(_ *op.Op, c *op.Completion) { f(c) }

// The kernel, too, refuses operations on files to a ring for sockets.
func TestRestrictedToSockets(t *testing.T) {
	f, err := os.Open("/dev/zero")
	require.NoError(t, err)
	defer f.Close()
	buf := make([]byte, 8)
	read := func(s *uring.SQE) { s.PrepRead(int(f.Fd()), buf, 0) }
	for r, want := range map[Restrict]int32{RestrictUsed: 8, RestrictNone: 8, RestrictSockets: -int32(syscall.EACCES)} {
		b := open(t, Config{Restrict: r})
		require.Equal(t, want, ask(t, b, read), r)
		require.NoError(t, b.Close())
	}
}

func TestRestrictIsChecked(t *testing.T) {
	_, err := New(Config{Restrict: restrictCount})
	require.ErrorContains(t, err, "Restrict is 3")
}
