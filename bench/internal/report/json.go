package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ouro-io/ouro/bench/internal/suite"
)

// Environment is where the figures come from.
type Environment struct {
	Time   time.Time `json:"time"`
	Kernel string    `json:"kernel"`
	CPU    string    `json:"cpu"`
	CPUs   int       `json:"cpus"`
	Go     string    `json:"go"`
	// TCP is the congestion control, which shapes bulk figures.
	TCP string `json:"tcpCongestionControl"`
	// Load is the load average when the run began: what else wanted the CPUs.
	Load float64 `json:"loadAverage"`
	// Emulated marks figures of a machine in emulation: they show that things work and nothing about speed.
	Emulated bool `json:"emulated,omitempty"`
	// Modules are the versions of the rivals and libraries in this binary.
	Modules map[string]string `json:"modules,omitempty"`
}

// Document is the whole result.
type Document struct {
	Environment Environment `json:"environment"`
	// Profile is minute, quick or full.
	Profile  string         `json:"profile,omitempty"`
	Rounds   int            `json:"rounds"`
	WarmupNs int64          `json:"warmupNs"`
	WindowNs int64          `json:"windowNs"`
	Tables   []Table        `json:"tables"`
	Samples  []suite.Sample `json:"samples"`
}

// ReadEnvironment describes this machine; what cannot be read stays empty.
func ReadEnvironment() Environment {
	e := Environment{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		e.Kernel = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	if b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control"); err == nil {
		e.TCP = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(b), &e.Load) //nolint:errcheck // unread it stays 0
	}
	e.CPU = cpuModel()
	if bi, ok := debug.ReadBuildInfo(); ok {
		e.Modules = map[string]string{}
		for _, m := range bi.Deps {
			e.Modules[m.Path] = m.Version
		}
	}
	return e
}

// busyMachine is the load average from which on figures are called disturbed.
const busyMachine = 0.7

// Disturbed warns of a machine that had other things to do, or is "".
func (e Environment) Disturbed() string {
	if e.Load < busyMachine {
		return ""
	}
	return fmt.Sprintf("Other programs wanted the CPUs when the run began (load average %.1f): throughput and latency say little, "+
		"least of all about contestants that leave CPU time to others. Run it again on a quiet machine.", e.Load)
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// WriteTables prints d without its samples and curves, a table to a line: what the documents are made from.
func WriteTables(w io.Writer, d Document) error {
	d.Samples, d.Environment.Modules = nil, nil
	tables := d.Tables
	d.Tables = nil
	head, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	before, after, _ := bytes.Cut(head, []byte(`"tables":null`))
	b.Write(before)
	b.WriteString(`"tables":[`)
	for i, t := range tables {
		t.Rows = slices.Clone(t.Rows)
		for k := range t.Rows {
			t.Rows[k].QuantilesNs = nil
			t.Rows[k].Failed = firstWords(t.Rows[k].Failed)
		}
		line, err := json.Marshal(t)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]")
	b.Write(after)
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// WriteJSON prints d for programs.
func WriteJSON(w io.Writer, d Document) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	return enc.Encode(d)
}
