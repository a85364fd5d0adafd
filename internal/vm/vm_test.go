//go:build linux

package vm

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/internal/vm/plan"
)

func TestNewest(t *testing.T) {
	names := []string{
		"linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-56-cloud-amd64", "linux-image-6.1.0-56-cloud-amd64-unsigned",
		"linux-image-6.1-cloud-amd64", "linux-image-6.12.100+deb12-cloud-amd64", "linux-image-6.12.99+deb12-cloud-amd64",
		"linux-image-6.1.0-57-amd64", "linux-image-cloud-amd64",
	}
	require.Equal(t, "linux-image-6.1.0-56-cloud-amd64", newest(names, "6.1"))
	require.Equal(t, "linux-image-6.12.100+deb12-cloud-amd64", newest(names, "6.12"))
	require.Empty(t, newest(names, "7.3"))
}

func TestGetRefusesWhatIsNoVersion(t *testing.T) {
	for _, v := range []string{"", "6", "6.1.2", "../6.1", "all"} {
		_, err := Get(t.Context(), t.TempDir(), v, t.Logf)
		require.ErrorContains(t, err, "give a version", v)
		require.NotErrorIs(t, err, ErrUnavailable)
	}
}

// A kernel in the cache is used as it is, and one whose files were changed is not.
func TestCache(t *testing.T) {
	cache := t.TempDir()
	dir := filepath.Join(cache, "linux-6.1")
	root := filepath.Join(cache, "tmp", "root", "boot")
	require.NoError(t, os.MkdirAll(root, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "vmlinuz-6.1.0"), []byte("image"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "veth.ko"), []byte("module"), 0o644))
	k := Kernel{Version: "6.1", Release: "6.1.0"}
	require.NoError(t, k.place(t.Context(), filepath.Join(cache, "tmp"), dir))
	got, err := Get(t.Context(), cache, "6.1", t.Logf)
	require.NoError(t, err)
	require.Equal(t, k, got)
	require.Equal(t, filepath.Join(dir, "veth.ko"), got.Modules["veth"])
	require.NotContains(t, got.Modules, "sch_netem")
	require.NoError(t, os.WriteFile(got.Image, []byte("other"), 0o644))
	_, err = readKernel(dir)
	require.ErrorContains(t, err, "has changed")
}

// unpackCPIO reads an archive back, by the format's description.
func unpackCPIO(t *testing.T, b []byte) (names []string, modes map[string]uint64, data map[string]string) {
	modes, data = map[string]uint64{}, map[string]string{}
	for at := 0; ; {
		require.Zero(t, at%4)
		require.Equal(t, "070701", string(b[at:at+6]))
		field := func(i int) int {
			n, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
			require.NoError(t, err)
			return int(n)
		}
		size, nameSize, mode := field(6), field(11), field(1)
		name := string(b[at+110 : at+110+nameSize-1])
		at = (at + 110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			require.Empty(t, b[at:])
			return names, modes, data
		}
		names = append(names, name)
		modes[name], data[name] = uint64(mode), string(b[at:at+size])
		at = (at + size + 3) &^ 3
	}
}

func TestInitramfs(t *testing.T) {
	from := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(from, []byte("12345"), 0o600))
	var b bytes.Buffer
	require.NoError(t, Initramfs(&b, []File{
		{Path: "/init", Data: []byte("abc"), Mode: 0o755}, {Path: "/a/b/c", From: from, Mode: 0o644}, {Path: "/a/b/d"},
	}))
	names, modes, data := unpackCPIO(t, b.Bytes())
	require.Equal(t, "abc", data["init"])
	require.EqualValues(t, 0o100755, modes["init"])
	require.Equal(t, "12345", data["a/b/c"])
	require.EqualValues(t, 0o040755, modes["a/b"])
	require.EqualValues(t, 0o020600, modes["dev/console"])
	require.Less(t, strings.Index(strings.Join(names, " "), "a/b "), strings.Index(strings.Join(names, " "), "a/b/c"))
	for _, bad := range []File{{Path: "init"}, {Path: "/a/../b"}, {Path: "/x", From: "/no/such/file"}} {
		require.Error(t, Initramfs(io.Discard, []File{bad}), "%+v", bad)
	}
}

func TestVirtualises(t *testing.T) {
	for text, want := range map[string]bool{
		"flags\t\t: fpu vmx sse\n": true, "x\nflags : svm\n": true, "flags : fpu sse\n": false,
		"vmx flags : none\n": false, "flags : svm_lock\n": false,
	} {
		require.Equal(t, want, virtualises([]byte(text)), text)
	}
}

// fakeQemu puts a program in qemu's place that plays a guest: script gets the disk's path in $disk.
func fakeQemu(t *testing.T, script string) {
	dir := t.TempDir()
	text := "#!/bin/sh\nfor a; do case $a in file=*) disk=${a#file=}; disk=${disk%%,*};; esac; done\n" + script
	require.NoError(t, os.WriteFile(filepath.Join(dir, Program), []byte(text), 0o755))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestRun(t *testing.T) {
	results := filepath.Join(t.TempDir(), "results")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text, err := json.Marshal(plan.Results{Release: "6.1.0", Steps: []plan.Result{{Name: "x", Exit: 3}}})
	require.NoError(t, err)
	for name, data := range map[string]string{plan.ResultsName: string(text), plan.KernelLog: "log", "out/f": "file"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o600}))
		_, err := w.Write([]byte(data))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(results, b.Bytes(), 0o644))
	save := fmt.Sprintf("dd if=%s of=$disk conv=notrunc 2>/dev/null\n", results)
	say := func(word string) string { return "echo; echo '" + plan.Marker + word + "'\n" }

	tries := filepath.Join(t.TempDir(), "tries")
	for _, c := range []struct{ name, script, want string }{
		{"good", say(plan.First) + save + say(plan.Last), ""},
		{"dies early once", "echo x >>" + tries + "; [ $(wc -l <" + tries + ") = 1 ] && exit 0\n" + say(plan.First) + save + say(plan.Last), ""},
		{"never speaks", "echo Kernel panic; exit 0", "never spoke"},
		{"dies later", say(plan.First) + save + "exit 0", "did not end as it should"},
		{"saves nothing", say(plan.First) + say(plan.Last), "no results"},
		{"saves rubbish", say(plan.First) + "echo hello | dd of=$disk conv=notrunc 2>/dev/null\n" + say(plan.Last), "results on the guest's disk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fakeQemu(t, c.script)
			var lines []string
			r, err := Machine{Line: func(s string) { lines = append(lines, s) }}.Run(t.Context(), plan.Plan{}, nil)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{plan.First, plan.Last}, lines)
			require.Equal(t, 3, r.Steps[0].Exit)
			require.False(t, r.Steps[0].Passed())
			require.Equal(t, "log", r.KernelLog)
			require.Equal(t, map[string][]byte{"f": []byte("file")}, r.Files)
		})
	}
	t.Run("takes too long", func(t *testing.T) {
		fakeQemu(t, say(plan.First)+"exec sleep 1000")
		_, err := Machine{Limit: 200 * time.Millisecond}.Run(t.Context(), plan.Plan{}, nil)
		require.ErrorContains(t, err, "was ended after 200ms")
	})
	t.Run("given up", func(t *testing.T) {
		fakeQemu(t, "exec sleep 1000")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Machine{}.Run(ctx, plan.Plan{}, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("no qemu", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := Machine{}.Run(t.Context(), plan.Plan{}, nil)
		require.ErrorIs(t, err, ErrUnavailable)
	})
}
