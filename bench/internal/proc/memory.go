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
