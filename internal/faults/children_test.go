//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

func init() {
	parts["descriptors"] = func() error {
		names, err := os.ReadDir("/proc/self/fd")
		for _, n := range names {
			if to, err := os.Readlink("/proc/self/fd/" + n.Name()); err == nil {
				fmt.Println(n.Name(), to)
			}
		}
		return err
	}
}

// Everything that an engine opens is close-on-exec, at any moment: children that are started in the middle of traffic
// have no socket and no ring of this process.
func TestChildrenInheritNothing(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		udp, err := r.stack.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer udp.Close()
		unixSocket, err := r.stack.Listen("unix", filepath.Join(t.TempDir(), "socket"))
		require.NoError(t, err)
		defer unixSocket.Close()
		stop := traffic(t, r, 4)
		for range 8 {
			// Not by package os/exec, which closes nothing either but would hide a descriptor of its own.
			for line := range strings.Lines(runChild(t, "descriptors")) {
				if !strings.Contains(line, "socket:") && !strings.Contains(line, "io_uring") {
					continue // its own, or from whoever started the tests
				}
				t.Errorf("a child has descriptor %s", line)
			}
		}
		for _, fd := range descriptors(t) {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err == nil && atStart[fd] != name(fd) {
				require.NotZero(t, flags&unix.FD_CLOEXEC, "descriptor %d (%s) is inherited by children", fd, name(fd))
			}
		}
		stop()
	})
}

func descriptors(t *testing.T) (fds []int) {
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, n := range names {
		var fd int
		_, _ = fmt.Sscan(n.Name(), &fd)
		fds = append(fds, fd)
	}
	return fds
}

func name(fd int) string {
	to, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return to
}

// A child of fork alone (no exec yet) shares descriptors, but neither ring nor buffers: both are MADV_DONTFORK. The maps
// of the child are read while a ptrace stop holds it before its exec.
func TestForkSharesNoRing(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		if r.engine.Info().Backend != proactor.IOUring {
			t.Skip("only io_uring maps memory of the kernel's")
		}
		smaps, err := os.ReadFile("/proc/self/smaps")
		require.NoError(t, err)
		rings := 0
		var in bool
		for line := range strings.Lines(string(smaps)) {
			if strings.Contains(line, "anon_inode:[io_uring]") {
				rings, in = rings+1, true
			} else if in && strings.HasPrefix(line, "VmFlags:") {
				require.Contains(t, line, " dc", "a mapping of a ring is copied into children: %s", line) // VM_DONTCOPY
				in = false
			}
		}
		require.Positive(t, rings)
	})
}

// What one connection sent is never seen by another: a buffer that is used again shows its own bytes only, and its
// slice cannot be extended into what was there before.
func TestCanary(t *testing.T) {
	const canary = 0xc5
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		l, err := r.stack.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		var mu sync.Mutex
		var seen []string
		check := func(what string, b []byte, first byte) {
			mu.Lock()
			defer mu.Unlock()
			if first != canary && bytes.IndexByte(b[:cap(b)], canary) >= 0 {
				seen = append(seen, fmt.Sprintf("%s: %d bytes of %d", what, len(b), cap(b)))
			}
		}
		var served sync.WaitGroup
		served.Go(func() {
			_ = r.stack.Serve(l, func(c net.Conn) {
				tc := c.(*net.TCPConn)
				first := byte(0)
				for i := 0; ; i++ {
					if i%2 == 0 {
						lease, err := tc.ReadLease()
						if err != nil {
							return
						}
						if first == 0 {
							first = lease.Bytes()[0]
						}
						check("lease", lease.Bytes(), first)
						if err := tc.WriteLease(lease); err != nil {
							return
						}
						continue
					}
					b := make([]byte, 4096)
					n, err := tc.Read(b)
					if err != nil {
						return
					}
					check("read", b, first)
					if _, err := tc.Write(b[:n]); err != nil {
						return
					}
				}
			})
		})
		// Connections that fill as many buffers as they can, and then ones that send little.
		send := func(fill byte, size int) {
			c, err := stdnet.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			defer c.Close()
			for range 8 {
				p := bytes.Repeat([]byte{fill}, size)
				sent := make(chan error, 1)
				go func() { _, err := c.Write(p); sent <- err }()
				got := make([]byte, size)
				_, err := io.ReadFull(c, got)
				require.NoError(t, err)
				require.NoError(t, <-sent)
				require.True(t, bytes.Equal(p, got))
			}
		}
		for i := range 50 {
			send(canary, 300_000)
			send(1, 1+i)
			send(2, 5_000)
		}
		require.NoError(t, l.Close())
		served.Wait()
		require.Empty(t, seen)
	})
}

// A descriptor of the ring's that a child was given on purpose is of no use to it for anything but what the engine does:
// the ring is restricted. (proactor/ringbackend tests which operations.)
func TestRingDescriptorsAreAnonymous(t *testing.T) {
	onEachBackend(t, nil, func(t *testing.T, r *rig) {
		for _, fd := range descriptors(t) {
			if name(fd) == "anon_inode:[io_uring]" {
				// It cannot be opened a second time by its name in /proc.
				_, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0)
				require.ErrorIs(t, err, syscall.ENXIO)
			}
		}
	})
}
