//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/vm/plan"
)

// prepare makes the machine look as programs expect it: file systems, loopback, a few files.
func prepare() error {
	var errs []error
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"tmpfs", "/dev/shm"}, {"devpts", "/dev/pts"}, {"cgroup2", "/sys/fs/cgroup"},
	} {
		_ = os.MkdirAll(m.at, 0o755)
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.at, err))
		}
	}
	errs = append(errs, os.Chmod("/tmp", 0o1777), os.MkdirAll(plan.OutDir, 0o1777), os.MkdirAll("/etc", 0o755))
	for name, text := range map[string]string{
		"/etc/hosts":     "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
		"/etc/passwd":    "root:x:0:0::/:/\nnobody:x:65534:65534::/:/\n",
		"/etc/group":     "root:x:0:\nnogroup:x:65534:\n",
		"/etc/services":  "http 80/tcp\nhttps 443/tcp\ndomain 53/tcp\ndomain 53/udp\n",
		"/etc/protocols": "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\n",
	} {
		errs = append(errs, os.WriteFile(name, []byte(text), 0o644))
	}
	errs = append(errs, interfaceUp("lo"), unix.Sethostname([]byte("guest")))
	return errors.Join(errs...)
}

func interfaceUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// moduleCompressed is MODULE_INIT_COMPRESSED_FILE, finit_module(2): the kernel unpacks the file (5.17).
const moduleCompressed = 4

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if filepath.Ext(path) != ".ko" {
		flags = moduleCompressed
	}
	if err := unix.FinitModule(int(f.Fd()), "", flags); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

// setSysctl sets key and returns what it was. Its error is os.ErrNotExist where the kernel has none of that name.
func setSysctl(key, value string) (old string, err error) {
	path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), os.WriteFile(path, []byte(value), 0)
}
