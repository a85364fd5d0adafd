//go:build linux

package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/proactor"
)

// The network of these tests: a child process in a network namespace of its own has the engine, and another in another
// namespace the clients; a veth pair joins them, with a queueing discipline at both ends.
//
//	test ──starts──▶ server (namespace, device left 10.9.0.1) ──starts──▶ client (namespace, device right 10.9.0.2)
var (
	leftAddress  = netip.MustParsePrefix("10.9.0.1/24")
	rightAddress = netip.MustParsePrefix("10.9.0.2/24")
)

const troubleEnv = "OURO_FAULTS_NETWORK"

// troubles are what is done to both devices.
var troubles = map[string]func(device string) error{
	"nothing": func(string) error { return nil },
	"narrow":  func(d string) error { return tbf(d, 4_000_000, 16_000, 64_000) },
	"loss":    func(d string) error { return netem(d, 0, 0, 3, 0) },
	"delay":   func(d string) error { return netem(d, 20_000, 0, 0, 0) },
	"reorder": func(d string) error { return netem(d, 1_000, 5_000, 0, 0) },
	"all":     func(d string) error { return netem(d, 2_000, 8_000, 2, 2) },
}

// Exit messages of children that tell of what cannot be had here.
const cannot = "cannot: "

func init() {
	parts["server"] = networkServer
	parts["client"] = networkClient
}

// inNamespace is a child in a network namespace of its own.
func inNamespace(part string, env ...string) *exec.Cmd {
	c := child(part, env...)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return c
}

// networkServer is the server's side. It tells the client where to connect and waits for its end.
func networkServer() error {
	client := inNamespace("client")
	in, err := client.StdinPipe()
	if err != nil {
		return err
	}
	out, err := client.StdoutPipe()
	if err != nil {
		return err
	}
	client.Stderr = os.Stderr
	if err := client.Start(); err != nil {
		return err
	}
	defer client.Process.Kill()
	err = addVeth("left", "right", client.Process.Pid)
	if err == nil {
		err = errors.Join(configure("left", leftAddress), switchLink("lo", true))
	}
	if err == nil {
		err = troubles[os.Getenv(troubleEnv)]("left")
	}
	if unavailable(err) {
		fmt.Println(cannot, err)
		return nil
	}
	if err != nil {
		return err
	}
	r, err := startRig(proactor.Config{Workers: 2, Log: func(string) {}}, leftAddress.Addr().String(), nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(in, r.relay.Addr(), r.echo.Addr())
	report, _ := bufio.NewReader(out).ReadString('\n')
	fmt.Print(report)
	// The client stays until then: with it goes its network, and whatever is still on the way, be it the end of a connection.
	if report != "" && !gone(r) {
		return fmt.Errorf("connections are left: %+v", r.engine.Stats())
	}
	_ = in.Close()
	if err := client.Wait(); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return r.stop()
}

// unavailable: this kernel has no such device or discipline.
func unavailable(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EOPNOTSUPP)
}

// networkClient exchanges through what it is told on standard input.
func networkClient() error {
	var relay, echo string
	in := bufio.NewReader(os.Stdin)
	if _, err := fmt.Fscan(in, &relay, &echo); err != nil {
		return err
	}
	if err := configure("right", rightAddress); err != nil {
		return err
	}
	if err := troubles[os.Getenv(troubleEnv)]("right"); err != nil {
		return err
	}
	const clients, size = 6, 200_000
	errs := make(chan error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c, err := stdnet.Dial("tcp", []string{relay, echo}[i%2])
			if err != nil {
				errs <- err
				return
			}
			defer c.Close()
			errs <- exchange(c, uint64(i), size)
		})
	}
	wg.Wait()
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	if all == nil {
		fmt.Println("exchanged", clients*size)
		_, _ = io.Copy(io.Discard, in) // the server has seen the ends
	}
	return all
}

// Whatever a network does to packets, every byte arrives once and in order.
func TestBadNetworks(t *testing.T) {
	needRoot(t, "make network namespaces")
	for _, b := range []proactor.Backend{proactor.IOUring, proactor.Epoll} {
		for trouble := range troubles {
			t.Run(b.String()+"/"+trouble, func(t *testing.T) {
				if err := denytest.NoRing(); b == proactor.IOUring && err != nil {
					t.Skip(err)
				}
				c := inNamespace("server", troubleEnv+"="+trouble, proactor.BackendEnv+"="+b.String())
				out, err := runFor(c)
				if errors.Is(err, syscall.EPERM) {
					t.Skip("may not make a network namespace: ", err)
				}
				require.NoError(t, err, out)
				if _, why, ok := strings.Cut(out, cannot); ok {
					t.Skip("this kernel cannot: ", why)
				}
				require.Contains(t, out, "exchanged 1200000")
			})
		}
	}
}

// runFor runs c, and kills it when it hangs.
func runFor(c *exec.Cmd) (string, error) {
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return "", err
	}
	guard := time.AfterFunc(hangs, func() { _ = c.Process.Kill() })
	defer guard.Stop()
	err := c.Wait()
	return out.String(), err
}
