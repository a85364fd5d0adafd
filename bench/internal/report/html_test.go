package report

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/bench/internal/layers"
	"github.com/ouro-io/ouro/bench/internal/suite"
)

// document is a result with every kind of chart in it.
func document() Document {
	var cells []suite.Cell
	var samples []suite.Sample
	for i, conns := range []int{1, 64, 1000} {
		c := echoCell
		c.Conns = conns
		cells = append(cells, c)
		for j, name := range []string{"std", "std-again", "ouro-serve", "gnet", "rio", "c-uring"} {
			for round := range 3 {
				cpu := time.Duration(10000 / (j + 1))
				if name == "rio" {
					cpu = time.Second / 1000
				}
				s := sampleOf(name, round, uint64(1000*(j+1)), cpu)
				s.Cell = i
				samples = append(samples, s)
			}
			p := sampleOf(name, 3, 1000, 10000)
			p.Cell, p.Profiled, p.Layers = i, true, map[string]float64{layers.KernelIO: 0.75, layers.Ouro: 0.25}
			samples = append(samples, p)
		}
	}
	samples = append(samples, suite.Sample{Cell: 0, Contestant: "gain", Error: "<script>alert(1)</script>"})
	d := Document{Environment: ReadEnvironment(), Rounds: 3, WindowNs: 1e8, Tables: Summarize(cells, samples), Samples: samples}
	d.Environment.Emulated, d.Environment.Load = true, 3
	return d
}

func render(t *testing.T) string {
	var b bytes.Buffer
	require.NoError(t, WriteHTML(&b, document()))
	return b.String()
}

func TestPageNeedsNothingElse(t *testing.T) {
	page := render(t)
	require.NotRegexp(t, regexp.MustCompile(`(src|href)="?(https?:)?//`), page)
	require.NotContains(t, page, "sourceMappingURL")
	require.NotContains(t, page, "@import")
	require.NotContains(t, page, "<script>alert(1)", "what a contestant says is text")
	require.Contains(t, page, "&lt;script&gt;alert(1)")
	require.Contains(t, page, "Emulated machine")
	require.Contains(t, page, "load average 3.0")
	require.Contains(t, page, "noise: ")
	// Three cells of bars twice, curves and layers, and two scaling charts.
	require.Equal(t, 3*4+2, strings.Count(page, `class="box"`))
}

func TestVerdictNeedsMoreThanNoise(t *testing.T) {
	m := Metrics(suite.EchoName)[0]
	at := func(ratio, noise float64) string {
		return verdict(Table{Resolution: map[string]float64{m.Key: noise}}, m, Figure{ToBaseline: &Spread{Median: ratio}})
	}
	require.Equal(t, "win", at(0.8, 0.1))
	require.Equal(t, "lose", at(1.2, 0.1))
	require.Empty(t, at(0.8, 0.3))
	require.Empty(t, at(0.97, 0), "below what the method can promise at all")
	require.Empty(t, verdict(Table{}, m, Figure{ToBaseline: &Spread{Median: 0.5}}), "no twin, no verdict")
	m.MoreIsBetter = true
	require.Equal(t, "lose", at(0.8, 0.1))
}

// probe is added to the page: it notes down what a reader would see go wrong.
const probe = `<script>
window.addEventListener('load', () => setTimeout(() => {
  window.dispatchEvent(new Event('beforeprint')); // without a screen nothing comes into view; printing draws all
  const d = document.documentElement, boxes = [...document.querySelectorAll('.box')];
  const blank = boxes.filter((b) => {
    const c = b.querySelector('canvas');
    if (!c || !c.width || !c.height) return true;
    const px = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    return !px.some((v) => v !== 0);
  });
  d.dataset.result = ['errors', window.failures.join('; ') || 0, 'boxes', boxes.length, 'blank', blank.length,
    'overflow', d.scrollWidth > d.clientWidth ? 'yes' : 'no', 'wide', boxes.filter((b) => b.getBoundingClientRect().right > d.clientWidth).length].join(' ');
}, 500));
</script>`

// TestPageInABrowser opens the page at the width of a desktop and of a phone: every chart is drawn, nothing sticks out to
// the side, and no script fails.
func TestPageInABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium here (Debian: apt-get install chromium)")
	}
	page := strings.Replace(render(t), "<style>", "<script>window.failures = []; window.addEventListener('error', (e) => window.failures.push(e.message));</script><style>", 1)
	file := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(page, "</body>", probe+"</body>", 1)), 0o644))
	for _, width := range []int{1280, 390} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
				"--user-data-dir="+t.TempDir(), "--virtual-time-budget=5000", fmt.Sprintf("--window-size=%d,1000", width), "--dump-dom", "file://"+file)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			dom, err := cmd.Output()
			if err != nil {
				t.Skipf("Chromium does not run here: %v: %.300s", err, stderr.String())
			}
			m := regexp.MustCompile(`data-result="([^"]*)"`).FindSubmatch(dom)
			require.NotNil(t, m, "the page's scripts did not finish")
			require.Equal(t, "errors 0 boxes 14 blank 0 overflow no wide 0", string(m[1]))
		})
	}
}
