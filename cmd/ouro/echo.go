//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/net"
	"github.com/ouro-io/ouro/proactor"
)

// face serves echo on l until ctx ends.
type face func(ctx context.Context, s *net.Stack, e *proactor.Engine, l *net.TCPListener) error

var faces = map[string]face{"serve": serveFace, "callbacks": callbackFace, "goroutines": goroutineFace}

var backends = map[string]proactor.Backend{"auto": proactor.Auto, "uring": proactor.IOUring, "epoll": proactor.Epoll}

// drainTime is how long connections have to end by themselves after an interrupt.
const drainTime = 2 * time.Second

func echoCommand() *cli.Command {
	return &cli.Command{
		Name:  "echo",
		Usage: "serve echo over TCP until interrupted",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Value: "127.0.0.1:7007", Usage: "listen on `HOST:PORT`"},
			&cli.StringFlag{Name: "face", Value: "serve", Usage: "`HOW`: serve (coroutines), callbacks or goroutines"},
			&cli.StringFlag{Name: "backend", Value: "auto", Usage: "`WHAT` to run on: auto, uring or epoll"},
		},
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := noArguments(c); err != nil {
				return err
			}
			f, err := pick("face", c.String("face"), faces)
			if err != nil {
				return err
			}
			b, err := pick("backend", c.String("backend"), backends)
			if err != nil {
				return err
			}
			return serveEcho(ctx, c.Root().Writer, c.String("addr"), c.String("face"), f, b)
		},
	}
}

// pick looks a flag's value up.
func pick[V any](flag, name string, values map[string]V) (V, error) {
	v, ok := values[name]
	if !ok {
		names := make([]string, 0, len(values))
		for n := range values {
			names = append(names, n)
		}
		slices.Sort(names)
		return v, usageError{fmt.Errorf("--%s=%s: use one of %s", flag, name, strings.Join(names, ", "))}
	}
	return v, nil
}

// serveEcho runs an engine with one face until ctx ends.
func serveEcho(ctx context.Context, out io.Writer, addr, name string, f face, b proactor.Backend) (err error) {
	e, err := proactor.New(proactor.Config{Backend: b})
	if err != nil {
		return err
	}
	defer func() {
		drain, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		// Connections that are still open then are closed, which is what an interrupt is for.
		if down := e.Shutdown(drain); !errors.Is(down, context.DeadlineExceeded) {
			err = errors.Join(err, down)
		}
	}()
	s := net.On(e)
	l, err := s.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Fprintf(out, "echo on %v: %s, %v with %d workers\n", l.Addr(), name, e.Info().Backend, e.Info().Workers)
	if err := f(ctx, s, e, l.(*net.TCPListener)); ctx.Err() == nil {
		return err
	}
	return nil
}

// serveFace has a coroutine for each connection, and leases instead of copies.
func serveFace(ctx context.Context, s *net.Stack, _ *proactor.Engine, l *net.TCPListener) error {
	return s.ServeContext(ctx, l, func(c net.Conn) {
		for tc := c.(*net.TCPConn); ; {
			data, err := tc.ReadLease()
			if err != nil {
				return
			}
			if tc.WriteLease(data) != nil {
				return
			}
		}
	})
}

// callbackFace keeps no stack for a connection. A peer that sends without reading is dropped.
func callbackFace(ctx context.Context, _ *net.Stack, e *proactor.Engine, l *net.TCPListener) error {
	a, err := e.Serve(l, proactor.Handler{OnData: func(c *proactor.Conn, data buffers.Lease) {
		if c.Send(data) != nil {
			_ = c.Close()
		}
	}})
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Wait(ctx)
}

// goroutineFace is an ordinary server on package net's API.
func goroutineFace(ctx context.Context, _ *net.Stack, _ *proactor.Engine, l *net.TCPListener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}
