package future

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/ouro-io/ouro/csp"
	"github.com/ouro-io/ouro/executor"
	"github.com/ouro-io/ouro/internal/worldtest"
)

// TestSelect waits for futures in a select, beside others: settled before, meanwhile, and left behind for another case.
func TestSelect(t *testing.T) {
	worldtest.OnEachSide(t, func(t *testing.T) error {
		for round := range 200 {
			var a, b Promise[int]
			if round%4 == 0 {
				b.Resolve(1)
			} else {
				settle := func() {
					if round%2 == 0 {
						runtime.Gosched()
					}
					b.Resolve(1)
				}
				go settle()
			}
			which, err := csp.Select(worldtest.Within(t), csp.On(a.Future()), csp.On(b.Future()), csp.After(time.Hour))
			if which != 1 || err != nil {
				return fmt.Errorf("case %d, %v", which, err)
			}
			a.Future().mu.Lock()
			left := a.Future().choices != nil && len(*a.Future().choices) > 0
			a.Future().mu.Unlock()
			if left {
				return fmt.Errorf("the future that lost still knows the select")
			}
			a.Resolve(2) // must not disturb anybody
			executor.Yield()
		}
		return nil
	})
}
