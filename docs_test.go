//go:build linux

package ouro

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ouro-io/ouro/uring"
)

var update = flag.Bool("update", false, "write the generated parts of the documentation anew")

// generated are the parts of the documentation that are made from the code. Each stands in its file between
// "<!-- generated: NAME -->" and "<!-- end of NAME -->".
var generated = []struct {
	file, name string
	make       func(t *testing.T) string
}{
	{"README.md", "example", exampleBlock},
	{"README.md", "kernels", kernelTable},
	{"ARCHITECTURE.md", "layers", layerTable},
	{"docs/features.md", "features", featureTables},
}

// TestGenerated fails when the documentation is older than the code. `go generate` brings it up to date.
func TestGenerated(t *testing.T) {
	for _, g := range generated {
		t.Run(g.file+" "+g.name, func(t *testing.T) {
			src, err := os.ReadFile(g.file)
			require.NoError(t, err)
			want, err := replacePart(string(src), g.name, g.make(t))
			require.NoError(t, err, g.file)
			if *update && want != string(src) {
				require.NoError(t, os.WriteFile(g.file, []byte(want), 0o644))
				return
			}
			require.Equal(t, want, string(src), "stale; run: go generate")
		})
	}
}

var markdownLink = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinks follows the links between the documents and into the repository.
func TestLinks(t *testing.T) {
	links := 0
	files(t, func(path string) {
		if !strings.HasSuffix(path, ".md") {
			return
		}
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range markdownLink.FindAllStringSubmatch(string(src), -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", path, m[1], err)
			}
		}
	})
	require.Positive(t, links)
}

func TestReplacePart(t *testing.T) {
	const doc = "a\n<!-- generated: x -->\nold\n<!-- end of x -->\nb\n"
	got, err := replacePart(doc, "x", "new")
	require.NoError(t, err)
	require.Equal(t, "a\n<!-- generated: x -->\n\nnew\n\n<!-- end of x -->\nb\n", got)
	again, err := replacePart(got, "x", "new")
	require.NoError(t, err)
	require.Equal(t, got, again)
	_, err = replacePart(doc, "y", "new")
	require.ErrorContains(t, err, "no part y")
}

// replacePart puts text between the marks of a part.
func replacePart(doc, name, text string) (string, error) {
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end of "+name+" -->"
	head, rest, ok := strings.Cut(doc, begin)
	if !ok {
		return "", fmt.Errorf("there is no part %s", name)
	}
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("the part %s does not end", name)
	}
	return head + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + tail, nil
}

// exampleBlock is the example program, which is built and run by the tests of examples/echo.
func exampleBlock(t *testing.T) string {
	src, err := os.ReadFile("examples/echo/serve/main.go")
	require.NoError(t, err)
	_, code, ok := strings.Cut(string(src), "\npackage main")
	require.True(t, ok)
	return "```go\npackage main" + code + "```"
}

// kernelTable lists by kernel what it added that the engine, or this library's rings, make something of.
func kernelTable(t *testing.T) string {
	by := map[string][]string{}
	for _, f := range uring.FeatureTable() {
		switch {
		case f.Without == "", strings.HasPrefix(f.Name, "op.") && !decides(f):
		case decides(f):
			by[f.FirstKernel] = append(by[f.FirstKernel], "**"+f.Name+"**")
		default:
			by[f.FirstKernel] = append(by[f.FirstKernel], f.Name)
		}
	}
	require.Greater(t, len(by), 5)
	var b strings.Builder
	b.WriteString("| Linux | adds |\n|---|---|\n")
	for _, k := range slices.SortedFunc(maps.Keys(by), byVersion) {
		fmt.Fprintf(&b, "| %s | %s |\n", k, strings.Join(by[k], ", "))
	}
	return b.String()
}

// decides reports whether a feature decides between the ring and epoll.
func decides(f uring.Feature) bool { return strings.Contains(f.Without, "epoll is used") }

func byVersion(a, b string) int {
	var am, an, bm, bn int
	_, _ = fmt.Sscanf(a, "%d.%d", &am, &an)
	_, _ = fmt.Sscanf(b, "%d.%d", &bm, &bn)
	return cmp.Or(am-bm, an-bn)
}

// featureTables is the whole feature table, a section for each way of probing.
func featureTables(t *testing.T) string {
	var b strings.Builder
	how := ""
	for _, f := range uring.FeatureTable() {
		if f.How != how {
			how = f.How
			fmt.Fprintf(&b, "\n## Probed so: %s\n\n| feature | first in | without it |\n|---|---|---|\n", how)
		}
		without := cmp.Or(f.Without, "—")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, f.FirstKernel, without)
	}
	return b.String()
}

// layerTable is the import order as it is tested.
func layerTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| package | imports of ours | others | owns |\n|---|---|---|---|\n")
	for _, l := range layers {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", cmp.Or(l.pkg, "."), codes(l.imports), codes(l.modules), l.owns)
	}
	return b.String()
}

func codes(names []string) string {
	if len(names) == 0 {
		return "—"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}
