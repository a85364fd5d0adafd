package layers

import (
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"
)

func TestStacks(t *testing.T) {
	const module = "github.com/ouro-io/ouro/"
	for _, c := range []struct {
		want  string
		stack []string
	}{
		{KernelIO, []string{"internal/runtime/syscall/linux.Syscall6", "syscall.RawSyscall6", "syscall.Syscall", "syscall.write", "internal/poll.(*FD).Write"}},
		{KernelIO, []string{"syscall.RawSyscall6", module + "uring.enter", module + "uring.(*Ring).Enter"}},
		{KernelSched, []string{"runtime.futex", "runtime.futexsleep", "runtime.notesleep", "runtime.findRunnable"}},
		{KernelSched, []string{"internal/runtime/syscall/linux.Syscall6", "internal/runtime/syscall/linux.EpollWait", "runtime.netpoll", "runtime.findRunnable"}},
		{Scheduler, []string{"runtime.runqgrab", "runtime.findRunnable", "runtime.schedule", "runtime.park_m", "runtime.mcall"}},
		{Memory, []string{"runtime.memclrNoHeapPointers", "runtime.mallocgc", "runtime.makeslice", "main.handle"}},
		{Memory, []string{"runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker"}},
		{Ouro, []string{"runtime.memmove", module + "proactor.(*Conn).Read"}},
		{Ouro, []string{"sync.(*Mutex).Lock", module + "proactor.(*Conn).Read"}},
		{Handler, []string{"runtime.memmove", module + "bench/protocol.copyBack"}},
		{Handler, []string{"main.handle"}},
		{Library, []string{"github.com/panjf2000/gnet/v2.(*eventloop).read"}},
		{Standard, []string{"runtime.memmove", "bufio.(*Reader).Read"}},
		{Standard, []string{"net/http.(*conn).serve"}},
		{Standard, []string{"internal/poll.(*FD).Read", "net.(*conn).Read", "main.handle"}},
	} {
		got, ok := layerOf(c.stack)
		require.True(t, ok, c.stack)
		require.Equal(t, c.want, got, c.stack)
	}
	_, ok := layerOf([]string{"runtime.futex", "runtime.sigprof"})
	require.False(t, ok)
}

func TestSharesSumUp(t *testing.T) {
	sample := func(ns int64, names ...string) *profile.Sample {
		s := &profile.Sample{Value: []int64{1, ns}}
		for _, n := range names {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: n}}}})
		}
		return s
	}
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples"}, {Type: "cpu"}},
		Sample: []*profile.Sample{sample(30, "main.f"), sample(10, "runtime.futex", "runtime.notesleep"), sample(99, "runtime.sigprof")}}
	require.Equal(t, map[string]float64{Handler: 0.75, KernelSched: 0.25}, Of(p))
	require.Nil(t, Of(&profile.Profile{}))
}
