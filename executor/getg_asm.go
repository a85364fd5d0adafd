//go:build 386 || amd64 || arm || arm64 || loong64 || mips || mipsle || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package executor

// haveGetg tells that getg names the calling goroutine.
const haveGetg = true

// getg returns the address of the runtime's record of the calling goroutine. It is only ever compared: equal means
// the same goroutine, as long as the one that was noted has not ended.
//
//go:noescape
func getg() uintptr
