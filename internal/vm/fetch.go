//go:build linux

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Kernel is a kernel in the cache.
type Kernel struct {
	// Version is what was asked for, "6.1"; Release is what the kernel calls itself.
	Version, Release string
	// Packages are where it is from.
	Packages []Package
	// Image is the path of its vmlinuz.
	Image string
	// Modules are the paths of modules that plans may load, by name.
	Modules map[string]string
	// Sums are the SHA-256 of all these files by path: a cache that was changed is fetched anew.
	Sums map[string]string
}

// modules are what guests may want. A kernel that has one built in has no file for it.
var modules = []string{"veth", "sch_netem", "sch_tbf"}

// recordName is the file that a complete kernel in the cache has.
const recordName = "kernel.json"

// Get returns a kernel of that version ("6.1") from the cache, or brings it there. log is told what takes long.
func Get(ctx context.Context, cache, version string, log func(string, ...any)) (Kernel, error) {
	if err := checkVersion(version); err != nil {
		return Kernel{}, err
	}
	dir := filepath.Join(cache, "linux-"+version)
	k, err := readKernel(dir)
	if err == nil {
		return k, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		log("the cache has no usable kernel %s: %v", version, err)
	}
	unlock, err := lock(cache)
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	if k, err := readKernel(dir); err == nil {
		return k, nil // another process has brought it meanwhile
	}
	var misses []error
	for _, s := range suites {
		k, err := fetch(ctx, cache, dir, s, version, log)
		if err == nil {
			return k, nil
		}
		misses = append(misses, err)
	}
	return Kernel{}, fmt.Errorf("vm: no kernel %s: %w", version, errors.Join(misses...))
}

// lock makes the cache's folder and waits until no other process fetches into it.
func lock(cache string) (unlock func(), err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("vm: lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

func readKernel(dir string) (Kernel, error) {
	var k Kernel
	src, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(src, &k); err != nil {
		return k, err
	}
	for path, want := range k.Sums {
		sum, err := fileSum(path)
		if err != nil {
			return k, err
		}
		if sum != want {
			return k, fmt.Errorf("%s has changed", path)
		}
	}
	return k, nil
}

// fetch looks for the kernel in one suite and puts it at dir.
func fetch(ctx context.Context, cache, dir string, s suite, version string, log func(string, ...any)) (Kernel, error) {
	a, err := newAPT(ctx, filepath.Join(cache, "apt-"+s.name), s)
	if err != nil {
		return Kernel{}, err
	}
	names, err := a.run(ctx, a.dir, "apt-cache", "pkgnames", "linux-image-")
	if err != nil {
		return Kernel{}, err
	}
	image := newest(strings.Fields(names), version)
	if image == "" {
		return Kernel{}, fmt.Errorf("vm: %s has no cloud kernel %s: %w", s.name, version, ErrUnavailable)
	}
	log("fetching %s from %s", image, s.name)
	tmp, err := os.MkdirTemp(cache, "fetch")
	if err != nil {
		return Kernel{}, err
	}
	defer os.RemoveAll(tmp)
	k := Kernel{Version: version, Release: strings.TrimPrefix(image, "linux-image-")}
	// From 7.x on the image and the modules are packages of their own.
	for _, name := range []string{image, strings.Replace(image, "image", "binary", 1), strings.Replace(image, "image", "modules", 1)} {
		p, err := a.show(ctx, name)
		if err != nil && name != image {
			continue
		}
		if err == nil {
			err = a.unpack(ctx, p, filepath.Join(tmp, "root"))
		}
		if err != nil {
			return Kernel{}, err
		}
		k.Packages = append(k.Packages, p)
	}
	if err := k.place(ctx, tmp, dir); err != nil {
		return Kernel{}, err
	}
	return k, nil
}

// place picks what is needed from the unpacked packages and makes it the cached kernel at dir.
func (k *Kernel) place(ctx context.Context, tmp, dir string) error {
	root, made := filepath.Join(tmp, "root"), filepath.Join(tmp, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	found, err := find(root, func(path string) bool {
		return strings.HasPrefix(filepath.Base(path), "vmlinuz")
	})
	if err != nil || len(found) == 0 {
		return fmt.Errorf("vm: %s has no vmlinuz: %w", k.Release, errors.Join(err, os.ErrNotExist))
	}
	k.Modules, k.Sums = map[string]string{}, map[string]string{}
	take := func(from, name string) (string, error) {
		if err := os.Rename(from, filepath.Join(made, name)); err != nil {
			return "", err
		}
		sum, err := fileSum(filepath.Join(made, name))
		k.Sums[filepath.Join(dir, name)] = sum
		return filepath.Join(dir, name), err
	}
	if k.Image, err = take(found[0], "vmlinuz"); err != nil {
		return err
	}
	for _, m := range modules {
		found, err := find(root, func(path string) bool { return strings.HasPrefix(filepath.Base(path), m+".ko") })
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		file, err := unxz(ctx, found[0])
		if err != nil {
			return err
		}
		if k.Modules[m], err = take(file, m+".ko"); err != nil {
			return err
		}
	}
	record, err := json.MarshalIndent(k, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(made, recordName), record, 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// unxz unpacks a compressed module: not every kernel does that itself.
func unxz(ctx context.Context, path string) (string, error) {
	plain, ok := strings.CutSuffix(path, ".xz")
	if !ok {
		return path, nil
	}
	if out, err := exec.CommandContext(ctx, "xz", "-d", path).CombinedOutput(); err != nil {
		return "", fmt.Errorf("vm: xz -d %s: %w: %s", filepath.Base(path), err, lastLines(string(out), 2))
	}
	return plain, nil
}

// find lists the regular files below root for which fit holds.
func find(root string, fit func(path string) bool) (found []string, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && fit(path) {
			found = append(found, path)
		}
		return err
	})
	return found, err
}
