//go:build linux

package vm

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Versions are the kernels that the matrix is made of, oldest first. Others that the suites have may be asked for too.
var Versions = []string{"5.10", "6.1", "6.12", "6.18", "7.3"}

// suite is a part of the Debian archive that has kernels.
type suite struct{ uri, name string }

// suites are searched in this order.
var suites = []suite{
	{"http://deb.debian.org/debian-security", "bookworm-security"},
	{"http://deb.debian.org/debian-security", "bullseye-security"},
	{"http://deb.debian.org/debian", "trixie-backports"},
	{"http://deb.debian.org/debian-security", "trixie-security"},
}

// The archive's keys as the package debian-archive-keyring installs them; on Debian itself they are there.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

var versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

func checkVersion(v string) error {
	if !versionPattern.MatchString(v) {
		return fmt.Errorf("vm: kernel %q: give a version as in %s", v, strings.Join(Versions, ", "))
	}
	return nil
}

// newest picks from names, package names, the newest signed cloud kernel of a version: linux-image-6.1.0-56-cloud-amd64
// for 6.1. It is empty when there is none.
func newest(names []string, version string) string {
	prefix, suffix := "linux-image-"+version, "-cloud-amd64"
	var fit []string
	for _, n := range names {
		rest, ok := strings.CutPrefix(n, prefix)
		// After the version stands a dot; "linux-image-6.1-cloud-amd64" is a metapackage.
		if ok && strings.HasSuffix(rest, suffix) && strings.HasPrefix(rest, ".") {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		return ""
	}
	return slices.MaxFunc(fit, compareNumbers)
}

var number = regexp.MustCompile(`[0-9]+`)

// compareNumbers compares the numbers in two names one after the other, so that 6.1.0-56 is newer than 6.1.0-9.
func compareNumbers(a, b string) int {
	x, y := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if c := cmp.Compare(m, n); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}
