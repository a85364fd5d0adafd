//go:build linux

package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/internal/vm/plan"
)

// diskWait is how long the disk may take to appear after the start of the kernel.
const diskWait = 30 * time.Second

// save writes the results to the disk.
func (g *guest) save() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	g.results.Release, g.results.Version = unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:])
	text, err := json.MarshalIndent(g.results, "", "\t")
	if err != nil {
		return err
	}
	disk, err := openDisk()
	if err != nil {
		return err
	}
	w := tar.NewWriter(disk)
	errs := []error{add(w, plan.ResultsName, text), add(w, plan.KernelLog, kernelLog())}
	files, err := filepath.Glob(plan.OutDir + "/*")
	errs = append(errs, err)
	for _, name := range files {
		if b, err := os.ReadFile(name); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, add(w, "out/"+filepath.Base(name), b))
		}
	}
	return errors.Join(append(errs, w.Close(), disk.Sync(), disk.Close())...)
}

func openDisk() (*os.File, error) {
	for deadline := time.Now().Add(diskWait); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.OpenFile(plan.Disk, os.O_WRONLY, 0)
		if err == nil {
			return f, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no disk after %v: %w", diskWait, err)
		}
	}
}

func add(w *tar.Writer, name string, b []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(b))}); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// kernelLog is what dmesg(1) prints, as far as the kernel still has it.
func kernelLog() []byte {
	const readAll, size = 3, 1 << 20 // SYSLOG_ACTION_READ_ALL
	b := make([]byte, size)
	n, err := unix.Klogctl(readAll, b)
	if err != nil {
		return []byte(err.Error())
	}
	return b[:n]
}
