//go:build linux

package simkernel

import "bytes"

// A flight is what was sent on a socket and has not left it, in order: bytes that the kernel has copied, and bytes that it reads
// from the program's memory only when they leave. The zero flight is empty.
type flight struct {
	parts []part
	n     int
}

// part is a stretch of a flight.
type part struct {
	bytes []byte
	loan  *loan // whose memory bytes are; nil for the kernel's own
}

func (f *flight) len() int { return f.n }

// copy adds a copy of p.
func (f *flight) copy(p []byte) {
	f.n += len(p)
	if last := len(f.parts) - 1; last >= 0 && f.parts[last].loan == nil {
		f.parts[last].bytes = append(f.parts[last].bytes, p...)
		return
	}
	f.parts = append(f.parts, part{bytes: bytes.Clone(p)})
}

// share adds p, which is memory of l.
func (f *flight) share(p []byte, l *loan) {
	f.n += len(p)
	l.parts++
	f.parts = append(f.parts, part{p, l})
}

// leave takes the first n bytes, which are read now, and appends them to to.
func (f *flight) leave(to []byte, n int) []byte {
	f.n -= n
	for n > 0 {
		p := &f.parts[0]
		m := min(n, len(p.bytes))
		to = append(to, p.bytes[:m]...)
		n -= m
		if p.bytes = p.bytes[m:]; len(p.bytes) > 0 {
			break
		}
		p.end()
		f.parts = f.parts[1:]
	}
	return to
}

// drop takes all, which nobody will read.
func (f *flight) drop() {
	for i := range f.parts {
		f.parts[i].end()
	}
	*f = flight{}
}

// keep makes copies of what is memory of l, which is the kernel's own from then on.
func (f *flight) keep(l *loan) {
	for i := range f.parts {
		if p := &f.parts[i]; p.loan == l {
			p.end()
			*p = part{bytes: bytes.Clone(p.bytes)}
		}
	}
}

func (p *part) end() {
	if p.loan != nil {
		p.loan.parts--
	}
}
