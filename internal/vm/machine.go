//go:build linux

package vm

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ouro-io/ouro/internal/vm/plan"
)

// Machine is a virtual machine to be. The zero value of everything but Kernel works.
type Machine struct {
	Kernel Kernel
	// MemoryMiB is the guest's memory, default 1024. The initramfs lies in it twice while the kernel unpacks it.
	MemoryMiB int
	// CPUs is the number of virtual CPUs, default 2.
	CPUs int
	// Limit is how long a run may take, default 20 minutes.
	Limit time.Duration
	// Line is told each line of the guest's console that begins with plan.Marker, without that; nil: nobody.
	Line func(string)
	// Console gets the whole console; nil: nobody.
	Console io.Writer
}

// Run is what came out of a machine.
type Run struct {
	plan.Results
	// Emulated is set when no hardware helped: then durations mean nothing.
	Emulated bool
	// KernelLog is what the kernel has logged.
	KernelLog string
	// Files are what steps left in plan.OutDir, by name.
	Files map[string][]byte
	// Seconds is how long it took.
	Seconds float64
}

const (
	defaultMemoryMiB = 1024
	defaultCPUs      = 2
	defaultLimit     = 20 * time.Minute
	diskSize         = 64 << 20
)

// Program is what machines are run with.
const Program = "qemu-system-x86_64"

// errNoGuest: the kernel never came to user space, which emulators sometimes do not.
var errNoGuest = errors.New("the guest's first process never spoke")

// Run boots the kernel with files and p, which it adds to them, and returns when the guest has ended. A boot that dies
// before the first process is tried once more; nothing else is.
func (m Machine) Run(ctx context.Context, p plan.Plan, files []File) (Run, error) {
	if _, err := exec.LookPath(Program); err != nil {
		return Run{}, fmt.Errorf("vm: install qemu (Debian: qemu-system-x86): %w: %w", err, ErrUnavailable)
	}
	dir, err := os.MkdirTemp("", "ouro-vm")
	if err != nil {
		return Run{}, err
	}
	defer os.RemoveAll(dir)
	text, err := json.Marshal(p)
	if err != nil {
		return Run{}, err
	}
	initrd := filepath.Join(dir, "initramfs")
	f, err := os.Create(initrd)
	if err != nil {
		return Run{}, err
	}
	err = errors.Join(Initramfs(f, append(files, File{Path: plan.File, Data: text, Mode: 0o644})), f.Close())
	if err != nil {
		return Run{}, err
	}
	r, err := m.once(ctx, initrd, filepath.Join(dir, "disk"))
	if errors.Is(err, errNoGuest) && ctx.Err() == nil {
		r, err = m.once(ctx, initrd, filepath.Join(dir, "disk"))
	}
	return r, err
}

func (m Machine) once(ctx context.Context, initrd, disk string) (Run, error) {
	if err := os.WriteFile(disk, nil, 0o644); err != nil {
		return Run{}, err
	}
	if err := os.Truncate(disk, diskSize); err != nil {
		return Run{}, err
	}
	limit := cmp.Or(m.Limit, defaultLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the machine was ended after %v", limit))
	defer cancel()
	began := time.Now()
	kvm := Hardware()
	c := exec.CommandContext(ctx, Program, m.args(initrd, disk, kvm)...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	console, err := c.StdoutPipe()
	if err != nil {
		return Run{}, err
	}
	if err := c.Start(); err != nil {
		return Run{}, cmp.Or(context.Cause(ctx), err)
	}
	spoke, ended, last := m.listen(console)
	err = c.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return Run{}, fmt.Errorf("vm: linux %s: %w; the console ended with:\n%s", m.Kernel.Release, cause, last)
	}
	if !spoke {
		return Run{}, fmt.Errorf("vm: linux %s: %w (%v %s); the console ended with:\n%s",
			m.Kernel.Release, errNoGuest, err, lastLines(stderr.String(), 3), last)
	}
	if !ended || err != nil {
		return Run{}, fmt.Errorf("vm: linux %s: the machine did not end as it should (%v %s); the console ended with:\n%s",
			m.Kernel.Release, err, lastLines(stderr.String(), 3), last)
	}
	r, err := readDisk(disk)
	r.Emulated, r.Seconds = !kvm, time.Since(began).Seconds()
	return r, err
}

// listen reads the console to its end. It reports whether the first process spoke and whether it came to its end, and
// the last lines.
func (m Machine) listen(console io.Reader) (spoke, ended bool, last string) {
	var kept []string
	r := bufio.NewReader(console)
	for {
		line, err := r.ReadString('\n')
		if m.Console != nil {
			_, _ = io.WriteString(m.Console, line)
		}
		line = strings.TrimRight(line, "\r\n")
		if word, ok := strings.CutPrefix(line, plan.Marker); ok {
			spoke, ended = true, word == plan.Last
			if m.Line != nil {
				m.Line(word)
			}
		}
		if line != "" {
			kept = append(kept[max(0, len(kept)-30):], line)
		}
		if err != nil {
			return spoke, ended, strings.Join(kept, "\n")
		}
	}
}

// args is qemu's command line.
func (m Machine) args(initrd, disk string, kvm bool) []string {
	accel, cpu := "tcg,thread=single", "max" // with a thread per CPU some boots die early
	if kvm {
		accel, cpu = "kvm", "host"
	}
	return []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35", "-accel", accel, "-cpu", cpu,
		"-smp", strconv.Itoa(cmp.Or(m.CPUs, defaultCPUs)), "-m", strconv.Itoa(cmp.Or(m.MemoryMiB, defaultMemoryMiB)),
		"-kernel", m.Kernel.Image, "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1 oops=panic reboot=t mitigations=off tsc=reliable rdinit=/init",
		"-serial", "stdio",
		"-drive", "file=" + disk + ",format=raw,if=none,id=results,cache=unsafe", "-device", "nvme,drive=results,serial=results",
	}
}

// Hardware reports whether KVM can be used: the device alone does not tell.
func Hardware() bool {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || !virtualises(cpu) {
		return false
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

var virtualisation = regexp.MustCompile(`(?m)^flags\s*:.*\b(vmx|svm)\b`)

func virtualises(cpuinfo []byte) bool { return virtualisation.Match(cpuinfo) }

// readDisk reads the archive that the guest has written to its disk.
func readDisk(path string) (Run, error) {
	r := Run{Files: map[string][]byte{}}
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer f.Close()
	found := false
	for t := tar.NewReader(bufio.NewReader(f)); ; {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return r, fmt.Errorf("vm: the results on the guest's disk: %w", err)
		}
		b, err := io.ReadAll(t)
		if err != nil {
			return r, fmt.Errorf("vm: the results on the guest's disk: %w", err)
		}
		switch name, out := strings.CutPrefix(h.Name, "out/"); {
		case out:
			r.Files[name] = b
		case h.Name == plan.KernelLog:
			r.KernelLog = string(b)
		case h.Name == plan.ResultsName:
			found = true
			if err := json.Unmarshal(b, &r.Results); err != nil {
				return r, fmt.Errorf("vm: the results on the guest's disk: %w", err)
			}
		}
	}
	if !found {
		return r, errors.New("vm: the guest has left no results on its disk")
	}
	return r, nil
}
