//go:build linux

package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// apt is a configuration of apt's that knows one suite and leaves the system's own alone. apt checks the signature of
// the suite's index and, by the hashes in there, every package.
type apt struct {
	dir   string
	suite suite
}

// newAPT prepares dir and brings the suite's index there.
func newAPT(ctx context.Context, dir string, s suite) (*apt, error) {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("vm: kernels come as Debian packages: %w: %w", err, ErrUnavailable)
		}
	}
	if _, err := os.Stat(keyring); err != nil {
		return nil, fmt.Errorf("vm: install debian-archive-keyring to check packages with: %w: %w", err, ErrUnavailable)
	}
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	a := &apt{dir: dir, suite: s}
	source := fmt.Sprintf("deb [arch=amd64 signed-by=%s] %s %s main\n", keyring, s.uri, s.name)
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(source), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "status"), nil, 0o644); err != nil {
		return nil, err
	}
	if _, err := a.run(ctx, dir, "apt-get", "-o", "APT::Update::Error-Mode=any", "update"); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrUnavailable)
	}
	return a, nil
}

// run runs one of apt's commands in dir and returns its standard output.
func (a *apt) run(ctx context.Context, dir, command string, args ...string) (string, error) {
	options := []string{
		"-q",
		"-o", "Dir::State=" + a.dir,
		"-o", "Dir::State::status=" + filepath.Join(a.dir, "status"),
		"-o", "Dir::Cache=" + a.dir,
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(a.dir, "sources.list"),
		"-o", "Dir::Etc::sourceparts=-",
		"-o", "Dir::Etc::preferencesparts=-",
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64",
		"-o", "APT::Sandbox::User=", // apt's own user may not write here
		"-o", "Acquire::Languages=none", "-o", "Acquire::Retries=2",
	}
	c := exec.CommandContext(ctx, command, append(options, args...)...)
	c.Dir = dir
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("vm: %s %s (%s): %w: %s", command, strings.Join(args, " "), a.suite.name, err, lastLines(stderr.String(), 3))
	}
	return string(out), nil
}

// Package is what a kernel, or a part of it, came as.
type Package struct{ Name, Version, SHA256 string }

// show asks for the newest version of a package.
func (a *apt) show(ctx context.Context, name string) (Package, error) {
	out, err := a.run(ctx, a.dir, "apt-cache", "--no-all-versions", "show", name)
	if err != nil {
		return Package{}, err
	}
	p := Package{Name: name}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Version":
			p.Version = value
		case "SHA256":
			p.SHA256 = value
		}
	}
	if p.Version == "" || p.SHA256 == "" {
		return p, fmt.Errorf("vm: the index of %s has no version and checksum of %s", a.suite.name, name)
	}
	return p, nil
}

// unpack downloads p and unpacks it into dir.
func (a *apt) unpack(ctx context.Context, p Package, dir string) error {
	tmp, err := os.MkdirTemp(a.dir, "deb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if _, err := a.run(ctx, tmp, "apt-get", "download", p.Name+"="+p.Version); err != nil {
		return fmt.Errorf("%w: %w", err, ErrUnavailable)
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if len(debs) != 1 {
		return fmt.Errorf("vm: apt-get download %s left %d files", p.Name, len(debs))
	}
	sum, err := fileSum(debs[0])
	if err != nil {
		return err
	}
	if sum != p.SHA256 {
		return fmt.Errorf("vm: %s has SHA-256 %s, the index says %s: refused", p.Name, sum, p.SHA256)
	}
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", debs[0], dir).CombinedOutput(); err != nil {
		return fmt.Errorf("vm: dpkg-deb -x %s: %w: %s", p.Name, err, lastLines(string(out), 3))
	}
	return nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
