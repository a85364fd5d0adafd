//go:build !(386 || amd64 || arm || arm64 || loong64 || mips || mipsle || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package executor

// haveGetg is false where nobody wrote a stub: coroutines are ordinary goroutines then.
const haveGetg = false

func getg() uintptr { return 0 }
