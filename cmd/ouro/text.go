//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeText prints r for people.
func writeText(w io.Writer, r Report) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	b := r.Backend
	switch {
	case b.Error != "":
		row("backend", "none (asked for: %s)", b.Requested)
		row("why", "%s", b.Error)
	default:
		row("backend", "%s with %d workers (asked for: %s)", b.Chosen, b.Workers, b.Requested)
		if b.Reason != "" {
			row("why", "%s", b.Reason)
		}
	}
	if r.IOUring.Available {
		row("io_uring", "works")
	} else {
		row("io_uring", "no: %s", r.IOUring.Error)
	}
	row("kernel", "Linux %s %s", r.Kernel.Release, r.Kernel.Machine)
	row("go", "%s, %d CPUs, GOMAXPROCS %d", r.Go.Version, r.Go.CPUs, r.Go.MaxProcs)
	row("memlock", "%s", limitText(r.Limits.Memlock, bytesText))
	row("nofile", "%s", limitText(r.Limits.Nofile, func(n uint64) string { return fmt.Sprint(n) }))
	row("sysctl", "%s", sysctlText(r.Sysctl))
	row("seccomp", "%s", seccompText(r.Process))
	if err := t.Flush(); err != nil {
		return err
	}
	writeAdvice(w, r.Advice)
	if len(r.Features) == 0 {
		return nil
	}
	return writeFeatures(w, r.Features, r.IOUring.Error)
}

func writeAdvice(w io.Writer, advice []string) {
	fmt.Fprintln(w, "\nWhat to change")
	if len(advice) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
	for _, a := range advice {
		fmt.Fprintln(w, "  "+a)
	}
}

// writeFeatures prints the table. A detail that was told above already is left out.
func writeFeatures(w io.Writer, fs []Feature, told string) error {
	count := map[string]int{}
	for _, f := range fs {
		count[f.State]++
	}
	fmt.Fprintf(w, "\nFeatures of io_uring: %d yes, %d no, %d unknown\n", count["yes"], count["no"], count["unknown"])
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "  feature\there\tsince\twithout it")
	for _, f := range fs {
		without := f.Without
		if without == "" {
			without = "(not used)"
		}
		if f.Detail != "" && f.Detail != told {
			without += " [" + f.Detail + "]"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", f.Name, f.State, f.FirstKernel, without)
	}
	return t.Flush()
}

func limitText(l Limit, unit func(uint64) string) string {
	text := func(v *uint64) string {
		if v == nil {
			return "unlimited"
		}
		return unit(*v)
	}
	return text(l.Soft) + ", at most " + text(l.Hard)
}

func bytesText(n uint64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func sysctlText(s Sysctl) string {
	if s.Error != "" {
		return "unknown: " + s.Error
	}
	if s.Disabled == nil {
		return "kernel.io_uring_disabled does not exist (before 6.6, or no io_uring)"
	}
	meaning := map[int]string{0: "everybody may", 1: "CAP_SYS_ADMIN and kernel.io_uring_group may", 2: "nobody may"}[*s.Disabled]
	text := fmt.Sprintf("kernel.io_uring_disabled=%d (%s)", *s.Disabled, meaning)
	if s.Group != nil && *s.Group >= 0 {
		text += fmt.Sprintf(", kernel.io_uring_group=%d", *s.Group)
	}
	return text
}

func seccompText(p Process) string {
	parts := []string{p.Seccomp}
	if p.SeccompFilters > 0 {
		parts = append(parts, fmt.Sprintf("%d filters", p.SeccompFilters))
	}
	if p.NoNewPrivs {
		parts = append(parts, "no new privileges")
	}
	return strings.Join(parts, ", ")
}
