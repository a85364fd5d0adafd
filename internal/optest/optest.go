//go:build linux

package optest

import (
	"testing"

	"github.com/ouro-io/ouro/buffers"
	"github.com/ouro-io/ouro/internal/op"
)

// New makes the backend under test with a pool as b says, zero fields meaning the default. It ends the test when it
// cannot: with t.Skip when the machine lacks something. The suite closes the backend.
type New func(t testing.TB, b buffers.GroupConfig) op.Backend

// Run runs the whole suite, each check as a subtest with a backend of its own. Not parallel: the checks count the
// descriptors of the process.
func Run(t *testing.T, make New) {
	for _, g := range []struct {
		name   string
		checks []check
	}{
		{"nop", nopChecks},
		{"wait", waitChecks},
		{"recv", recvChecks},
		{"recv-into", recvIntoChecks},
		{"send", sendChecks},
		{"send-zc", zeroCopyChecks(op.SendZC)},
		{"sendmsg-zc", zeroCopyChecks(op.SendMsgZC)},
		{"accept", acceptChecks},
		{"connect", connectChecks},
		{"poll", pollChecks},
		{"file", fileChecks},
		{"recvmsg", recvMsgChecks},
		{"recvmsg-into", recvMsgIntoChecks},
		{"sendmsg", sendMsgChecks},
		{"cancel", cancelChecks},
		{"buffers", bufferChecks},
		{"life", lifeChecks},
		{"model", modelChecks},
	} {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.checks {
				t.Run(c.name, func(t *testing.T) {
					r := newRig(t, make, c.pool)
					if why := r.sys.Lacks(g.name + "/" + c.name); why != "" {
						t.Skip(why)
					}
					c.run(r)
				})
			}
		})
	}
}

// A check is one promise of the contract.
type check struct {
	name string
	pool buffers.GroupConfig
	run  func(r *rig)
}
