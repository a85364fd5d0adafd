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
	bare            bool // its connections inherit nothing that one could rely on, TCP_NODELAY included
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
// sockets inherit these options, so that no system call per connection is needed for them. TCP's do; of Multipath TCP
// inheritsMultipath says. It notes in ka what came of it.
func presetAccepted(l *stdnet.TCPListener, ka *keepAlive) {
	raw, err := l.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(s uintptr) {
		fd := int(s)
		err := setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if ka.Enable && err == nil {
			err = setKeepAliveConfig(fd, ka.KeepAliveConfig)
		}
		if err == nil && inheritsOptions(fd) {
			ka.preset = ka.Enable
		} else {
			ka.bare = true
		}
	})
}

// inheritsOptions reports whether connections accepted from fd are sure to have its options.
func inheritsOptions(fd int) bool {
	switch protocol, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); protocol {
	case unix.IPPROTO_TCP:
		return true
	case unix.IPPROTO_MPTCP:
		return inheritsMultipath()
	}
	return false
}

// setOn sets on a connection what it has not inherited. Errors are ignored, as in the standard library.
func (k keepAlive) setOn(fd int) {
	_ = setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if k.Enable {
		_ = setKeepAliveConfig(fd, k.KeepAliveConfig)
	}
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
