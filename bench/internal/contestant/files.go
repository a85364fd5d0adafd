package contestant

import (
	"fmt"
	"io"

	"github.com/ouro-io/ouro/bench/protocol"
	"github.com/ouro-io/ouro/file"
	"github.com/ouro-io/ouro/proactor"
)

// files lists the ways to read a file with package file.
func files() []*Contestant {
	goroutine := jobs{protocol.File: func(a protocol.Args) (protocol.Result, error) {
		return readFile(a, func(f func()) error { go f(); return nil })
	}}
	return []*Contestant{
		own("ouro-file", "package file, io_uring: ReadAt from goroutines", onUring, nil, goroutine),
		own("ouro-file-coroutines", "package file, io_uring: ReadAt from coroutines", onUring, nil, jobs{protocol.File: readFileCoroutines}),
		own("ouro-file-batch", "package file, io_uring: ReadBatch of all that are in flight", onUring, nil, jobs{protocol.File: readFileBatch}),
		own("ouro-file-epoll", "package file without io_uring: ReadAt from goroutines", onEpoll, nil, goroutine),
	}
}

func readFile(a protocol.Args, spawn func(func()) error) (r protocol.Result, err error) {
	fa, err := protocol.FileArgsOf(a)
	if err != nil {
		return r, err
	}
	f, err := file.OpenFile(fa.Path, fa.Flags(), 0)
	if err != nil {
		return r, err
	}
	defer f.Close()
	r, err = protocol.Measure(fa.Depth, fa.Warmup, fa.Window, spawn, func(m *protocol.Meter, t *protocol.Tally, i int) error {
		return fa.Loop(m, t, i, f.ReadAt)
	})
	r.Bytes = r.Requests * uint64(fa.Size)
	return r, err
}

func readFileCoroutines(a protocol.Args) (protocol.Result, error) {
	e, err := proactor.Default()
	if err != nil {
		return protocol.Result{}, err
	}
	return readFile(a, e.Executor().Go)
}

// readFileBatch keeps Depth reads in flight by batches of as many: each waits for its slowest.
func readFileBatch(a protocol.Args) (r protocol.Result, err error) {
	fa, err := protocol.FileArgsOf(a)
	if err != nil {
		return r, err
	}
	f, err := file.OpenFile(fa.Path, fa.Flags(), 0)
	if err != nil {
		return r, err
	}
	defer f.Close()
	r, err = protocol.Measure(1, fa.Warmup, fa.Window, func(f func()) error { go f(); return nil },
		func(m *protocol.Meter, t *protocol.Tally, _ int) error { return batches(f, fa, m, t) })
	r.Bytes = r.Requests * uint64(fa.Size)
	return r, err
}

func batches(f *file.File, fa protocol.FileArgs, m *protocol.Meter, t *protocol.Tally) error {
	ios := make([]file.IO, fa.Depth)
	next := make([]func() int64, fa.Depth)
	for i := range ios {
		ios[i].P, next[i] = protocol.AlignedBlock(fa.Size), fa.Order(i)
	}
	for more := true; more; {
		for i := range ios {
			ios[i].Off = next[i]()
		}
		start := m.Now()
		if err := f.ReadBatch(ios); err != nil {
			return err
		}
		for _, x := range ios {
			if x.N < len(x.P) {
				return fmt.Errorf("offset %d: %d bytes of %d: %w", x.Off, x.N, len(x.P), io.ErrUnexpectedEOF)
			}
			if err := protocol.CheckBlock(x.P, x.Off); err != nil {
				return err
			}
			more = m.Done(t, start) && more
		}
	}
	return nil
}
