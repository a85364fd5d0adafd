package buffers

import "golang.org/x/sys/unix"

// sysMap returns n bytes of zeroed private memory, aligned to pages. Pages that nobody has touched cost nothing.
func sysMap(n int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	// Where huge pages are always on, the first byte touched would cost 2 MiB. The error is of no account: a kernel
	// without huge pages answers EINVAL.
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE)
	return mem, nil
}

// wantHuge asks for huge pages in mem. The error is of no account: without them it has ordinary ones.
func wantHuge(mem []byte) { _ = unix.Madvise(mem, unix.MADV_HUGEPAGE) }

// sysUnmap ends mem, which must be exactly what sysMap returned.
func sysUnmap(mem []byte) {
	if err := unix.Munmap(mem); err != nil {
		// Only an address that was never mapped gets here: the memory's owner is confused beyond repair.
		panic("buffers: munmap: " + err.Error())
	}
}
