//go:build linux

package net

import (
	stdnet "net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The standard library's keep-alive settings where KeepAliveConfig has 0.
const (
	defaultKeepAliveIdle     = 15 * time.Second
	defaultKeepAliveInterval = 15 * time.Second
	defaultKeepAliveCount    = 9
)

// presetAccepted sets on the listener what the standard library sets on every accepted connection: Linux has accepted
// sockets inherit these options, so Serve needs no system call per connection for them. Errors are ignored like there.
func presetAccepted(l *stdnet.TCPListener, lc *ListenConfig) {
	cfg := lc.KeepAliveConfig
	if !cfg.Enable && lc.KeepAlive >= 0 {
		cfg = KeepAliveConfig{Enable: true, Idle: lc.KeepAlive}
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(s uintptr) {
		fd := int(s)
		_ = setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if cfg.Enable {
			_ = setKeepAliveConfig(fd, cfg)
		}
	})
}

func setOption(fd, level, name, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, value))
}

func boolOption(b bool) int {
	if b {
		return 1
	}
	return 0
}

func setKeepAliveConfig(fd int, cfg KeepAliveConfig) error {
	if err := setOption(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, boolOption(cfg.Enable)); err != nil {
		return err
	}
	if err := setSeconds(fd, unix.TCP_KEEPIDLE, cfg.Idle, defaultKeepAliveIdle); err != nil {
		return err
	}
	if err := setSeconds(fd, unix.TCP_KEEPINTVL, cfg.Interval, defaultKeepAliveInterval); err != nil {
		return err
	}
	switch count := cfg.Count; {
	case count < 0:
		return nil
	case count == 0:
		return setOption(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, defaultKeepAliveCount)
	default:
		return setOption(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, count)
	}
}

// setSeconds sets a TCP option that counts seconds: rounded up, 0 for the default, left alone when negative.
func setSeconds(fd, name int, d, def time.Duration) error {
	switch {
	case d < 0:
		return nil
	case d == 0:
		d = def
	}
	return setOption(fd, unix.IPPROTO_TCP, name, int((d+time.Second-1)/time.Second))
}
