package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what a process occupies, in bytes.
type Memory struct {
	// PSS counts pages shared with other processes by their share, RSS in full.
	PSS, RSS int64
}

// MemoryOf reads the memory of process pid from /proc/pid/smaps_rollup (proc(5)).
func MemoryOf(pid int) (Memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	m := Memory{PSS: -1, RSS: -1}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		key, rest, _ := strings.Cut(s.Text(), ":")
		var to *int64
		switch key {
		case "Pss":
			to = &m.PSS
		case "Rss":
			to = &m.RSS
		default:
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("memory of process %d: %q: %w", pid, s.Text(), err)
		}
		*to = kib << 10
	}
	if m.PSS < 0 || m.RSS < 0 {
		return Memory{}, fmt.Errorf("memory of process %d: no Pss and Rss in smaps_rollup", pid)
	}
	return m, nil
}

// KernelMemory is what the kernel itself occupies at the moment, in bytes: slabs, stacks, page tables, vmalloc, per-CPU
// data and socket buffers. It is that of the whole machine, so only differences mean something, and only while nothing
// else changes much.
func KernelMemory() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("memory of the kernel: %w", err)
	}
	var sum int64
	found := 0
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		key, rest, _ := strings.Cut(s.Text(), ":")
		switch key {
		case "Slab", "KernelStack", "PageTables", "VmallocUsed", "Percpu":
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("memory of the kernel: %q: %w", s.Text(), err)
			}
			sum += kib << 10
			found++
		}
	}
	if found == 0 {
		return 0, fmt.Errorf("memory of the kernel: nothing known in /proc/meminfo")
	}
	pages, err := socketPages()
	return sum + pages*int64(os.Getpagesize()), err
}

// socketPages is the number of pages in TCP's and UDP's buffers (/proc/net/sockstat).
func socketPages() (int64, error) {
	data, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, fmt.Errorf("memory of sockets: %w", err)
	}
	var sum int64
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		for i := 1; i+1 < len(f); i++ {
			if f[i] != "mem" {
				continue
			}
			n, err := strconv.ParseInt(f[i+1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("memory of sockets: %q: %w", line, err)
			}
			sum += n
		}
	}
	return sum, nil
}
