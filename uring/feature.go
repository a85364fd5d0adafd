//go:build linux

package uring

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
)

// State is the answer of a probe.
type State uint8

const (
	// Unknown: the trial could not be made or said nothing; Result.Detail tells why. Not cached.
	Unknown State = iota
	// No: the kernel does not have it.
	No
	// Yes: it was seen to work, or the kernel says that it is there.
	Yes
)

var stateNames = [...]string{"unknown", "no", "yes"}

// String is "yes", "no" or "unknown".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// MarshalText writes the string.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Feature is a row of the feature table: something that kernels have or lack.
type Feature struct {
	// Name is unique: "setup.NO_SQARRAY", "feat.EXT_ARG", "op.SOCKET", "register.PBUF_RING", "use.recv-multishot".
	// The part before the dot tells how it is tried (How).
	Name string
	// How tells how the probe finds out.
	How string
	// FirstKernel is the first version that has it, for the reader: probes never look at versions.
	FirstKernel string
	// Without tells what happens where it is missing; empty when nothing here depends on it.
	Without string
}

// Result is a feature with what its probe found.
type Result struct {
	Feature
	State State
	// Detail is what the kernel said where that is of interest, as an error's text.
	Detail string
}

// feature is a row with its trial. Trials run one at a time on a locked thread.
type feature struct {
	Feature
	try func(*prober) (State, string)
}

// FeatureTable returns all rows without probing: the documentation's table is made from it.
func FeatureTable() []Feature {
	fs := make([]Feature, len(featureRows()))
	for i, f := range featureRows() {
		fs[i] = f.Feature
	}
	return fs
}

// ProbeFeatures tries every feature and returns all rows in the table's order. It makes and closes some rings, files
// and Unix sockets; nothing leaves the machine. Conclusive answers are kept for the life of the process. Any
// goroutine; about a hundred system calls the first time.
func ProbeFeatures() []Result { return probeRows(featureRows()) }

// ProbeFeature tries one feature by name; ok is false when the table has no such row. Any goroutine.
func ProbeFeature(name string) (res Result, ok bool) {
	i, ok := rowIndex()[name]
	if !ok {
		return Result{}, false
	}
	return probeRows(featureRows()[i : i+1])[0], true
}

// Supports tries a ring with the given setup flags, adding the flags that they need (SetupSingleIssuer for
// SetupDeferTaskrun …), so it also answers for flags that Setup refuses. An error means that the trial said nothing,
// because setup is blocked or short of memory or descriptors, or that there is none: of SetupNoMmap and
// SetupRegisteredFDOnly, for which rings would have to be mapped otherwise. Conclusive answers are kept. Any goroutine.
func Supports(flags SetupFlags) (bool, error) {
	supportsCache.Lock()
	yes, known := supportsCache.answers[flags]
	supportsCache.Unlock()
	if known {
		return yes, nil
	}
	yes, err := trySetup(flags)
	if err == nil {
		supportsCache.Lock()
		supportsCache.answers[flags] = yes
		supportsCache.Unlock()
	}
	return yes, err
}

var supportsCache = struct {
	sync.Mutex
	answers map[SetupFlags]bool
}{answers: map[SetupFlags]bool{}}

var featureCache = struct {
	sync.Mutex
	results map[string]Result
}{results: map[string]Result{}}

var featureRows = sync.OnceValue(makeRows)

var rowIndex = sync.OnceValue(func() map[string]int {
	index := make(map[string]int)
	for i, f := range featureRows() {
		index[f.Name] = i
	}
	return index
})

func probeRows(rows []feature) []Result {
	featureCache.Lock()
	defer featureCache.Unlock()
	var p *prober
	results := make([]Result, len(rows))
	for i, f := range rows {
		if r, ok := featureCache.results[f.Name]; ok {
			results[i] = r
			continue
		}
		if p == nil {
			// Trials with SetupSingleIssuer and registered rings belong to a thread.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			p = newProber()
			defer p.close()
		}
		r := Result{Feature: f.Feature}
		r.State, r.Detail = p.run(f)
		if r.State != Unknown {
			featureCache.results[f.Name] = r
		}
		results[i] = r
	}
	return results
}

// prober is what the trials of one round share: a plain ring and what the kernel says of itself.
type prober struct {
	ring *Ring
	ops  *OpSet
	err  error // no ring: nothing can be tried
}

func newProber() *prober {
	p := &prober{}
	if p.ring, p.err = Setup(Params{Entries: 4}); p.err != nil {
		return p
	}
	// A kernel before 5.6 cannot tell its operations: then it is as if it had none.
	if p.ops, p.err = p.ring.Probe(); errors.Is(p.err, syscall.EINVAL) {
		p.ops, p.err = &OpSet{}, nil
	}
	return p
}

func (p *prober) close() {
	if p.ring != nil {
		p.ring.Close()
	}
}

func (p *prober) run(f feature) (State, string) {
	if p.err != nil {
		return Unknown, p.err.Error()
	}
	return f.try(p)
}

// judge turns an errno of a trial into an answer: 0 and those in fine mean that the kernel has it; EINVAL and its like
// that it does not; anything else says nothing.
func judge(errno syscall.Errno, fine ...syscall.Errno) (State, string) {
	if errno == 0 {
		return Yes, ""
	}
	for _, e := range fine {
		if errno == e {
			return Yes, ""
		}
	}
	switch errno {
	case syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENOSYS:
		return No, errno.Error()
	}
	return Unknown, errno.Error()
}

func judgeErr(err error, fine ...syscall.Errno) (State, string) {
	if err == nil {
		return Yes, ""
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return Unknown, err.Error()
	}
	return judge(errno, fine...)
}

func unknownf(format string, args ...any) (State, string) {
	return Unknown, fmt.Sprintf(format, args...)
}
