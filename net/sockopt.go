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

// keepAlive is what connections of a listener are to have.
type keepAlive struct {
	KeepAliveConfig      // Enable is false where nothing is to be set
	byStd           bool // the standard library's Accept sets it
	preset          bool // the listener has it, and its connections inherit it
}

// each reports whether Accept has to set it on a connection. exposed: somebody else may have set the listener's options.
func (k keepAlive) each(exposed bool) bool { return k.Enable && !k.byStd && (!k.preset || exposed) }

// keepAlive is what the standard library makes of the configuration.
func (lc *ListenConfig) keepAlive() keepAlive {
	if !lc.KeepAliveConfig.Enable && lc.KeepAlive >= 0 {
		return keepAlive{KeepAliveConfig: KeepAliveConfig{Enable: true, Idle: lc.KeepAlive}}
	}
	return keepAlive{KeepAliveConfig: lc.KeepAliveConfig}
}

// presetAccepted sets on the listener what the standard library sets on every accepted connection: Linux has accepted
// sockets inherit these options, so that no system call per connection is needed for them. It reports whether the
// keep-alive settings are sure to be inherited; of Multipath TCP we do not know on which kernels they are.
func presetAccepted(l *stdnet.TCPListener, cfg KeepAliveConfig) (preset bool) {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(s uintptr) {
		fd := int(s)
		_ = setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if cfg.Enable && setKeepAliveConfig(fd, cfg) == nil {
			protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
			preset = err == nil && protocol == unix.IPPROTO_TCP
		}
	})
	return preset
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
