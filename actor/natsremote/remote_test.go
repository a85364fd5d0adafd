package natsremote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ouro-io/ouro/actor"
	"github.com/ouro-io/ouro/future"
)

const (
	childEnv = "OURO_NATSREMOTE_CHILD" // the URL that a child connects to
	hang     = time.Minute
)

type deposit struct{ Amount int }

type balance struct {
	deposit
	reply actor.Reply[int]
}

func TestMain(m *testing.M) {
	if u := os.Getenv(childEnv); u != "" {
		if err := child(u); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child is the other process: an account that sums deposits up, until its standard input ends.
func child(u string) error {
	system, err := actor.NewSystem(actor.Config{})
	if err != nil {
		return err
	}
	account, err := actor.Spawn(system, actor.Props[balance]{New: func(*actor.Context[balance]) (actor.Behavior[balance], error) {
		sum := 0
		return func(_ *actor.Context[balance], m balance) error {
			sum += m.Amount
			m.reply.Send(sum)
			return nil
		}, nil
	}})
	if err != nil {
		return err
	}
	node, err := Connect(Config{URL: u})
	if err != nil {
		return err
	}
	plain := Codec[balance]{Decode: func(b []byte) (balance, error) {
		d, err := JSON[deposit]().Decode(b)
		return balance{deposit: d}, err
	}}
	if _, err := Expose(node, "account", account, plain); err != nil {
		return err
	}
	if _, err := ExposeAsk(node, "account.ask", account, hang, JSON[deposit](), JSON[int](), func(d deposit, r actor.Reply[int]) balance { return balance{d, r} }); err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return errors.Join(node.Close(), system.Shutdown(context.Background()))
}

// startChild runs the other process until the test ends.
func startChild(t *testing.T, u string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+u)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	return ctx
}

// TestTwoProcesses tells and asks an actor of another process, before and after the server between them has restarted.
func TestTwoProcesses(t *testing.T) {
	s, err := startServer("", 0)
	require.NoError(t, err)
	stopServer := func() { s.Shutdown(); s.WaitForShutdown() }
	defer func() { stopServer() }()
	address := s.ClientURL()
	startChild(t, address)
	node, err := Connect(Config{URL: address})
	require.NoError(t, err)
	defer func() { require.NoError(t, node.Close()) }()
	account := To(node, "account", JSON[deposit]())
	question := To(node, "account.ask", JSON[deposit]())
	ctx := limited(t)

	const n = 1000
	for range n {
		require.NoError(t, account.Ref().Tell(deposit{1})) // the connection is up, so none is lost
	}
	require.NoError(t, account.TellAcked(ctx, deposit{0})) // and this one is behind them
	sum, err := Ask(ctx, question, deposit{5}, JSON[int]()).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, n+5, sum)

	// Nobody of that name; a message that makes no sense over there.
	require.ErrorIs(t, To(node, "nobody", JSON[deposit]()).TellAcked(ctx, deposit{}), ErrNobody)
	var re *RemoteError
	require.ErrorAs(t, To(node, "account", JSON[string]()).TellAcked(ctx, "x"), &re)

	// The server restarts. An acknowledged send that is tried until it succeeds gets through, and the actor over there,
	// which is still the same, is reached again.
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	port, err := strconv.Atoi(parsed.Port())
	require.NoError(t, err)
	stopServer()
	down, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	require.Error(t, account.TellAcked(down, deposit{0}), "there is no server")
	cancel()
	s, err = startServer("", port)
	require.NoError(t, err)
	retry := future.RetryConfig{Attempts: 1000, Min: 10 * time.Millisecond, Max: 50 * time.Millisecond, Again: func(error) bool { return true }}
	_, err = future.Retry(ctx, retry, func(ctx context.Context) (struct{}, error) {
		once, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return struct{}{}, account.TellAcked(once, deposit{0})
	}).Await(ctx)
	require.NoError(t, err)
	sum, err = Ask(ctx, question, deposit{1}, JSON[int]()).Await(ctx)
	require.NoError(t, err)
	require.Equal(t, n+6, sum)
}

// TestEmbedded uses the server that a node brings, within one process and from a coroutine.
func TestEmbedded(t *testing.T) {
	system, err := actor.NewSystem(actor.Config{})
	require.NoError(t, err)
	got := make(chan int, 1)
	here, err := actor.Spawn(system, actor.Props[deposit]{New: func(*actor.Context[deposit]) (actor.Behavior[deposit], error) {
		return func(_ *actor.Context[deposit], m deposit) error { got <- m.Amount; return nil }, nil
	}})
	require.NoError(t, err)
	a, err := Connect(Config{})
	require.NoError(t, err)
	b, err := Connect(Config{URL: a.URL()})
	require.NoError(t, err)
	stop, err := Expose(a, "here", here, JSON[deposit]())
	require.NoError(t, err)
	there := To(b, "here", JSON[deposit]())
	// An actor sends on what it is told, and suspends until that is acknowledged.
	relay, err := actor.Spawn(system, actor.Props[deposit]{New: func(*actor.Context[deposit]) (actor.Behavior[deposit], error) {
		return func(c *actor.Context[deposit], m deposit) error { return there.TellAcked(c.Context(), m) }, nil
	}})
	require.NoError(t, err)
	for i := range 100 {
		require.NoError(t, relay.Tell(deposit{i}))
		require.Equal(t, i, <-got)
	}
	here.Stop()
	_, err = here.Ended().Await(limited(t))
	require.NoError(t, err)
	var re *RemoteError
	require.ErrorAs(t, there.TellAcked(limited(t), deposit{1}), &re)
	require.Contains(t, re.Text, "stopped")
	require.NoError(t, stop())
	require.NoError(t, b.Close())
	require.NoError(t, a.Close())
	require.NoError(t, system.Shutdown(limited(t)))
}

func TestBadConfig(t *testing.T) {
	for _, name := range []string{"", "a b", "a..b", "*", ".a", strings.Repeat("a", maxName+1)} {
		require.ErrorIs(t, checkName(name), ErrName)
	}
	_, err := Connect(Config{Prefix: "a b"})
	require.ErrorIs(t, err, ErrName)
	_, err = Connect(Config{URL: "nats://127.0.0.1:1", Port: 5})
	require.ErrorContains(t, err, "excludes")
	for _, port := range []int{-1, 65536} {
		_, err = Connect(Config{Port: port})
		require.ErrorContains(t, err, "Config.Port")
	}
	_, err = Connect(Config{URL: "nats://127.0.0.1:1"})
	require.Error(t, err)
	broken := Codec[int]{Encode: func(int) ([]byte, error) { return nil, errors.New("cannot") }}
	require.ErrorContains(t, To(&Node{}, "x", broken).Tell(1), "cannot")
}

// Close returns, whoever calls it how often and whatever became of the connection.
func TestCloseAgain(t *testing.T) {
	closed := func(n *Node) error {
		done := make(chan error, 1)
		go func() { done <- n.Close() }()
		select {
		case err := <-done:
			return err
		case <-time.After(hang):
			t.Fatal("Close hangs")
			return nil
		}
	}
	a, err := Connect(Config{})
	require.NoError(t, err)
	quiet, err := Connect(Config{URL: a.URL(), Options: []nats.Option{nats.NoCallbacksAfterClientClose()}})
	require.NoError(t, err)
	require.NoError(t, closed(quiet))
	gone := make(chan struct{})
	lost, err := Connect(Config{URL: a.URL(), Options: []nats.Option{nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) })}})
	require.NoError(t, err)
	both := make(chan error, 2)
	for range 2 {
		go func() { both <- closed(a) }()
	}
	require.NoError(t, <-both)
	require.NoError(t, <-both)
	require.NoError(t, closed(a))
	select {
	case <-gone:
	case <-time.After(hang):
		t.Fatal("the connection lives on without its server")
	}
	require.ErrorIs(t, closed(lost), nats.ErrConnectionClosed)
}

// The longest names go through; longer ones are refused before a server ends the connection because of them.
func TestLongNames(t *testing.T) {
	n, err := Connect(Config{Prefix: strings.Repeat("p", maxName)})
	require.NoError(t, err)
	require.ErrorIs(t, To(n, strings.Repeat("n", maxName), JSON[int]()).TellAcked(limited(t), 1), ErrNobody)
	require.ErrorIs(t, To(n, strings.Repeat("n", 5000), JSON[int]()).Tell(1), ErrName)
	require.NoError(t, n.Flush(limited(t)))
	require.NoError(t, n.Close())
}

// Whatever keeps an answer from being given reaches who asked: an error without a text, an answer that NATS does not take.
func TestBadAnswers(t *testing.T) {
	system, err := actor.NewSystem(actor.Config{})
	require.NoError(t, err)
	sizes, err := actor.Spawn(system, actor.Props[sized]{New: func(*actor.Context[sized]) (actor.Behavior[sized], error) {
		return func(_ *actor.Context[sized], m sized) error { m.reply.Send(make([]byte, m.bytes)); return nil }, nil
	}})
	require.NoError(t, err)
	n, err := Connect(Config{})
	require.NoError(t, err)
	mute := Codec[sized]{Decode: func([]byte) (sized, error) { return sized{}, errors.New("") }}
	_, err = Expose(n, "mute", sizes, mute)
	require.NoError(t, err)
	_, err = ExposeAsk(n, "sizes", sizes, hang, JSON[int](), JSON[[]byte](), func(bytes int, r actor.Reply[[]byte]) sized { return sized{bytes, r} })
	require.NoError(t, err)
	var re *RemoteError
	require.ErrorAs(t, To(n, "mute", JSON[int]()).TellAcked(limited(t), 1), &re)
	asked := To(n, "sizes", JSON[int]())
	got, err := Ask(limited(t), asked, 1000, JSON[[]byte]()).Await(limited(t))
	require.NoError(t, err)
	require.Len(t, got, 1000)
	_, err = Ask(limited(t), asked, 2<<20, JSON[[]byte]()).Await(limited(t))
	require.ErrorAs(t, err, &re)
	require.Contains(t, re.Text, "cannot be sent")
	require.NoError(t, n.Close())
	require.NoError(t, system.Shutdown(limited(t)))
}

type sized struct {
	bytes int
	reply actor.Reply[[]byte]
}
