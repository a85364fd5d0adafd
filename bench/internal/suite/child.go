package suite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ouro-io/ouro/bench/internal/proc"
	"github.com/ouro-io/ouro/bench/protocol"
)

// Lines of the protocol between the suite and a server's process.
const (
	listeningPrefix = "listening "
	statsPrefix     = "stats "
	resultPrefix    = "result "
)

// Hang guards.
const (
	stopLimit = 5 * time.Second
)

// server is a server's process. done is closed once it was waited for; stats and err are set before that.
type server struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	addr   chan string
	stderr head
	done   chan struct{}
	stats  protocol.Stats
	err    error
}

// startServer starts a server and waits until it listens.
func startServer(ctx context.Context, argv, env []string, at proc.Placement, limit time.Duration) (*server, string, error) {
	s := &server{
		cmd:  exec.CommandContext(ctx, argv[0], argv[1:]...),
		addr: make(chan string, 1),
		done: make(chan struct{}),
	}
	s.cmd.Env = env
	s.cmd.Stderr = &s.stderr
	s.cmd.WaitDelay = stopLimit
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := proc.Start(at, s.cmd); err != nil {
		return nil, "", err
	}
	go s.follow(stdout)
	select {
	case addr := <-s.addr:
		return s, addr, nil
	case <-s.done:
		return nil, "", fmt.Errorf("did not start: %w", s.explain(s.err))
	case <-time.After(limit):
		s.kill()
		return nil, "", fmt.Errorf("did not listen within %v: %w", limit, s.explain(nil))
	}
}

// follow reads what the server prints until it ends.
func (s *server) follow(stdout io.Reader) {
	defer close(s.done)
	for in := bufio.NewScanner(stdout); in.Scan(); {
		line := in.Text()
		if a, ok := strings.CutPrefix(line, listeningPrefix); ok {
			select {
			case s.addr <- a:
			default:
			}
		} else if j, ok := strings.CutPrefix(line, statsPrefix); ok {
			if err := json.Unmarshal([]byte(j), &s.stats); err != nil {
				fmt.Fprintf(&s.stderr, "%s: %v\n", line, err)
			}
		}
	}
	s.err = s.cmd.Wait()
}

// stop ends the server in the orderly way, by closing its standard input.
func (s *server) stop() error {
	select {
	case <-s.done:
		// It should still be there.
		return fmt.Errorf("died: %w", s.explain(s.err))
	default:
	}
	s.stdin.Close()
	select {
	case <-s.done:
		if s.err != nil {
			return fmt.Errorf("ended badly: %w", s.explain(s.err))
		}
		return nil
	case <-time.After(stopLimit):
		s.kill()
		return fmt.Errorf("did not end within %v and was killed", stopLimit)
	}
}

func (s *server) kill() {
	s.cmd.Process.Kill() //nolint:errcheck // it may be gone already
	<-s.done
}

// explain adds what the server said first on standard error.
func (s *server) explain(err error) error {
	if err == nil {
		err = errors.New("no error")
	}
	if t := s.stderr.String(); t != "" {
		return fmt.Errorf("%w: %s", err, t)
	}
	return err
}

// environment is the suite's own less what would change a server's behaviour, plus add.
func environment(add ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		k, _, _ := strings.Cut(v, "=")
		return k == "GOMAXPROCS" || k == "GODEBUG" || k == "GOGC" || k == "GOMEMLIMIT" || k == "OURO_BACKEND"
	})
	return append(env, add...)
}

// head keeps the beginning of what is written to it, in one line: of a panic that is the message.
type head struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const headBytes = 400

func (t *head) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := headBytes - t.b.Len(); room > 0 {
		t.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (t *head) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(t.b.String()), " ")
}

// runChild runs a command to its end and returns what it printed.
func runChild(ctx context.Context, argv, env []string, at proc.Placement) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	var out bytes.Buffer
	var stderr head
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.WaitDelay = stopLimit
	if err := proc.Start(at, cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("did not finish: %w", ctx.Err())
		}
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return out.Bytes(), nil
}
