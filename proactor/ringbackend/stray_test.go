//go:build linux

package ringbackend

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
	"github.com/ouro-io/ouro/uring"
)

// FuzzStrayCompletions delivers completions that belong to no operation in flight between those that do: old
// generations, slots that are none, cancels of what is gone. Each operation still ends exactly once, by its own.
func FuzzStrayCompletions(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		b := open(t, Config{Entries: 8, Buffers: buffers.GroupConfig{Count: 2, Size: 4096}})
		defer func() { require.NoError(t, b.Close()) }()
		var ended [3]int
		ops := make([]op.Op, len(ended))
		for i := range ops {
			ops[i] = op.Op{Kind: op.Nop, Done: completer(func(c *op.Completion) {
				require.Zero(t, c.Errno)
				require.False(t, c.More)
				ended[i]++
			})}
		}
		submitted := 0
		for len(stream) >= 12 && submitted < 300 {
			stray := uring.CQE{UserData: binary.LittleEndian.Uint64(stream), Res: int32(binary.LittleEndian.Uint32(stream[8:]))}
			stray.Flags = uint32(stream[0]) &^ 1 // no buffer: which are the kernel's is not for it to lie about
			stream = stream[12:]
			ref := op.Ref(stray.UserData)
			if ref.Kind() == op.Accept {
				stray.Res = -1 // else it is taken for a descriptor, and closed
			}
			o := &ops[submitted%len(ops)]
			require.NoError(t, b.Submit(o))
			submitted++
			if b.table.Get(ref) == nil && ref.Kind() != wakeKind && ref.Kind() != tickKind {
				require.Zero(t, b.deliver(&stray), "a stray completion was delivered")
			}
			// The one before in the same slot is as stray.
			old := uint64(o.Ref()) - 1<<32
			if b.table.Get(op.Ref(old)) == nil {
				require.Zero(t, b.deliver(&uring.CQE{UserData: old, Res: stray.Res}))
			}
			for ended[(submitted-1)%len(ops)] < (submitted+len(ops)-1)/len(ops) {
				_, err := b.Poll(time.Second)
				require.NoError(t, err)
			}
		}
		for i, n := range ended {
			require.Equal(t, (submitted+len(ops)-1-i)/len(ops), n)
		}
	})
}
