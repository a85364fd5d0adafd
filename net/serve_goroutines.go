//go:build !linux

package net

import "context"

// Stack is what the package-level functions use; there is only one where there is no engine.
type Stack struct{}

var defaultStack = &Stack{}

// onEngine: there is none.
func (*serving) onEngine(context.Context, Listener) (error, bool) { return nil, false }

// beginOnEngine: there is none.
func (*serving) beginOnEngine(*Conn) bool { return false }

// untilShutdown: there is none.
func (*serving) untilShutdown(ctx context.Context, _ Listener) (context.Context, func()) {
	return ctx, func() {}
}

// watchFirst: nothing tells how much was received.
func (*serving) watchFirst(*served, Conn) {}

// await runs f; there are no coroutines that would have to be suspended.
func await(f func()) { f() }
