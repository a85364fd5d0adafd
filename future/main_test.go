package future

import (
	"testing"

	"github.com/ouro-io/ouro/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
