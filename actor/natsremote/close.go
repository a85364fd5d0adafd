package natsremote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// flushTimeout is how long the server may take to have what was told before a Close.
const flushTimeout = 5 * time.Second

// Close hands over what was told and what has arrived, and leaves; a server in this process stops. Actors live on; requests that
// wait for an answer fail. Further calls wait for the first and return what it does.
//
// What has arrived goes into the mailboxes first. That waits for those whose Overflow is Wait, for 30 s or as long as
// nats.DrainTimeout among Config.Options says; then the rest is thrown away and the error is nats.ErrDrainTimeout. The error is
// nats.ErrConnectionReconnecting where the connection is down and what was told since then is lost, and
// nats.ErrConnectionClosed where it had ended for good before. Questions that ExposeAsk's actors answer later remain without
// an answer.
func (n *Node) Close() error {
	n.closing.Do(func() { n.closed = n.close() })
	return n.closed
}

func (n *Node) close() error {
	// Not by the connection's handler for this: it is the user's, is not called where the connection has ended before, and may be
	// switched off by an option.
	ended := n.conn.StatusChanged(nats.CLOSED)
	err := errors.Join(n.drain(), n.leave())
	for !n.conn.IsClosed() {
		<-ended
	}
	n.stopServer()
	return err
}

// drain has no more messages come, and waits until those that have arrived are told. The connection's own Drain would end the
// inbox meanwhile, where the actors here may wait for answers, and tells nobody that it has not ended in time.
func (n *Node) drain() error {
	n.mu.Lock()
	exposed := n.exposed
	n.exposed = nil
	n.mu.Unlock()
	limit := n.conn.Opts.DrainTimeout
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		left, late := 0, time.Now().After(end)
		for sub, draining := range exposed {
			if !draining && n.conn.IsConnected() { // or nothing comes, until it is again
				exposed[sub] = sub.Drain() == nil
			}
			waiting, done := n.pending(sub)
			if done || late {
				_ = sub.Unsubscribe()
			}
			if done {
				delete(exposed, sub)
			}
			left += waiting
		}
		switch {
		case len(exposed) == 0 || late && left == 0:
			return nil
		case late:
			return fmt.Errorf("natsremote: %d messages that had arrived were not in their mailboxes after %v: %w", left, limit, nats.ErrDrainTimeout)
		}
	}
}

// pending is how many messages of a subscription are not told yet. done means that there will be none: its drain has ended, which
// waits for the server, or the connection is down.
func (n *Node) pending(sub *nats.Subscription) (waiting int, done bool) {
	waiting, _, err := sub.Pending()
	if err != nil {
		return 0, true
	}
	return waiting, waiting == 0 && !n.conn.IsConnected()
}

// leave sends what was told and begins the end of the connection.
func (n *Node) leave() error {
	if n.conn.IsConnected() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := n.conn.FlushWithContext(ctx); err != nil && n.conn.IsConnected() {
			n.conn.Close()
			return fmt.Errorf("natsremote: the server has not confirmed what was told last: %w", err)
		}
	}
	kept, _ := n.conn.Buffered()
	err := n.conn.Drain() // it lets nothing be told any more before it flushes
	if err != nil {
		n.conn.Close()
	}
	if !errors.Is(err, nats.ErrConnectionReconnecting) {
		return err
	}
	if kept > 0 {
		return fmt.Errorf("natsremote: %d bytes that were to be sent since the connection went down are lost: %w", kept, err)
	}
	return nil
}
