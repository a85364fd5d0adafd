//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/ouro-io/ouro/internal/denytest"
	"github.com/ouro-io/ouro/internal/vm/plan"
)

const (
	defaultLimit = 10 * time.Minute
	outputLimit  = 1 << 20
)

// run runs a step. Its output goes to a file, not to a pipe: a grandchild that keeps a pipe open would keep us waiting.
func run(s plan.Step) plan.Result {
	r := plan.Result{Name: s.Name, Exit: -1}
	for key, value := range s.Sysctl {
		old, err := setSysctl(key, value)
		switch {
		case errors.Is(err, os.ErrNotExist):
			r.Skipped = "this kernel has no sysctl " + key
			return r
		case err != nil:
			r.Error = err.Error()
			return r
		}
		defer func() {
			if _, err := setSysctl(key, old); err != nil && r.Error == "" {
				r.Error = fmt.Sprintf("sysctl %s stays %s: %v", key, value, err)
			}
		}()
	}
	out, err := os.CreateTemp("/run", "step")
	if err != nil {
		r.Error = err.Error()
		return r
	}
	defer os.Remove(out.Name())
	defer out.Close()
	began := time.Now()
	r.Exit, err = start(s, out)
	r.Seconds = time.Since(began).Seconds()
	if err != nil {
		r.Error = err.Error()
	}
	r.Output = tail(out)
	return r
}

// start runs the step's process and returns its exit status. The error is nil when it exited by itself.
func start(s plan.Step, out *os.File) (int, error) {
	command := s.Command
	env := append([]string{"PATH=/bin", "HOME=/", "TMPDIR=/tmp"}, s.Env...)
	if s.Deny != "" {
		command = append([]string{"/init", "deny"}, command...)
		env = append(env, denytest.Env+"="+s.Deny)
	}
	c := exec.Command(command[0], command[1:]...)
	c.Dir, c.Env, c.Stdout, c.Stderr = cmp.Or(s.Dir, "/"), env, out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		return -1, err
	}
	limit := cmp.Or(s.Limit, defaultLimit)
	over := time.AfterFunc(limit, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
	err := c.Wait()
	inTime := over.Stop()
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // what it has left behind
	switch {
	case !inTime:
		return -1, fmt.Errorf("killed after %v", limit)
	case c.ProcessState.Exited():
		return c.ProcessState.ExitCode(), nil
	}
	return -1, err
}

// tail is the last part of what was written.
func tail(f *os.File) string {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	b := make([]byte, min(end, outputLimit))
	n, err := f.ReadAt(b, end-int64(len(b)))
	if err != nil && err != io.EOF {
		return err.Error()
	}
	return string(b[:n])
}
