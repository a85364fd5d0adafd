//go:build linux

package proactor

import (
	"unsafe"

	"github.com/ouro-io/ouro/internal/op"
)

// index is the place of o among the operations of c.
func (c *Call) index(o *op.Op) int {
	// SAFETY: o is an element of c.Ops, as only those have c as Done; nothing is dereferenced.
	return int((uintptr(unsafe.Pointer(o)) - uintptr(unsafe.Pointer(unsafe.SliceData(c.Ops)))) / unsafe.Sizeof(*o))
}
