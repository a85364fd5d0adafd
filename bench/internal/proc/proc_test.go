package proc

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCPUTimeGrowsOnlyWithWork(t *testing.T) {
	before, err := CPUTime(os.Getpid())
	require.NoError(t, err)
	for after := before; after < before+time.Millisecond; {
		after, err = CPUTime(os.Getpid())
		require.NoError(t, err)
	}
}

func TestCPUTimeOfAnother(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo ready; cat")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	// Having said something it has used some.
	_, err = out.Read(make([]byte, 16))
	require.NoError(t, err)
	d, err := CPUTime(cmd.Process.Pid)
	require.NoError(t, err)
	require.Positive(t, d)
	in.Close()
	require.NoError(t, cmd.Wait())
}

func TestCPUTimeOfNobody(t *testing.T) {
	_, err := CPUTime(1<<22 + 1)
	require.ErrorContains(t, err, "CPU time of process")
}

func TestStartBindsTheChildOnly(t *testing.T) {
	cpus, err := CPUs()
	require.NoError(t, err)
	require.Len(t, cpus, runtime.NumCPU())
	for _, cpu := range cpus {
		cmd := exec.Command("sh", "-c", "grep Cpus_allowed_list /proc/self/status")
		var out strings.Builder
		cmd.Stdout = &out
		require.NoError(t, Start(Placement{CPU: cpu}, cmd))
		require.NoError(t, cmd.Wait())
		_, got, _ := strings.Cut(out.String(), ":")
		require.Equal(t, strconv.Itoa(cpu), strings.TrimSpace(got))
	}
	after, err := CPUs()
	require.NoError(t, err)
	require.Equal(t, cpus, after)
}

func TestStartWithPolicy(t *testing.T) {
	for _, batch := range []bool{false, true} {
		cmd := exec.Command("cat")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, Start(Placement{CPU: -1, Batch: batch}, cmd))
		a, err := unix.SchedGetAttr(cmd.Process.Pid, 0)
		require.NoError(t, err)
		require.Equal(t, batch, a.Policy == unix.SCHED_BATCH)
		in.Close()
		require.NoError(t, cmd.Wait())
	}
}

func TestStartOnACPUThatIsNotThere(t *testing.T) {
	require.ErrorContains(t, Start(Placement{CPU: 1000}, exec.Command("true")), "binding to CPU 1000")
}

func TestMemorySeesAPage(t *testing.T) {
	before, err := MemoryOf(os.Getpid())
	require.NoError(t, err)
	// Not from the Go heap, which may hold touched pages already.
	b, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	defer unix.Munmap(b)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	after, err := MemoryOf(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, after.PSS, before.PSS+32<<20)
	require.GreaterOrEqual(t, after.RSS, after.PSS)
}

func TestMemoryOfNobody(t *testing.T) {
	_, err := MemoryOf(1<<22 + 1)
	require.ErrorIs(t, err, os.ErrNotExist)
}
