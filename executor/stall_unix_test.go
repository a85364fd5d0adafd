//go:build unix

package executor

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func init() {
	blockers["system call"] = func(t *testing.T, release <-chan struct{}) func() {
		var p [2]int
		require.NoError(t, syscall.Pipe(p[:]))
		t.Cleanup(func() { syscall.Close(p[0]) })
		go func() {
			<-release
			syscall.Close(p[1])
		}()
		return func() {
			var b [1]byte
			syscall.Read(p[0], b[:])
		}
	}
}
