package protocol

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == string(Echo) {
		os.Exit(Program{Serve: map[Role]func(*Server) error{Echo: func(s *Server) error { return errors.New("told") }}}.Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func TestArguments(t *testing.T) {
	p := Program{Do: map[Role]func(Args) (Result, error){File: func(a Args) (Result, error) {
		_, err := FileArgsOf(a)
		return Result{}, err
	}}}
	for args, want := range map[string]string{
		"":                     "usage",
		"sink":                 "cannot be \"sink\"; can be [file]",
		"file size":            "not key=value",
		"file size=x":          "size=x",
		"file size=-1":         "size=-1",
		"file size=8 depth=1":  "at least 8 bytes",
		"file size=8 window=5": "1 reader",
		"file size=8 depth=1 window=5 path=/nowhere": "no such file",
	} {
		err := p.Run(strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	all := []byte(strings.Repeat(request, 3))
	for cut := range len(all) {
		out, used := Answers(nil, all[:cut])
		rest, more := Answers(out, all[used:])
		if used+more != len(all) || string(rest) != strings.Repeat(PlainResponse, 3) {
			t.Fatalf("cut at %d: %d and %d bytes taken", cut, used, more)
		}
	}
}

// duplex reads from in and writes to out.
type duplex struct {
	in  io.Reader
	out bytes.Buffer
}

func (d *duplex) Read(p []byte) (int, error)  { return d.in.Read(p) }
func (d *duplex) Write(p []byte) (int, error) { return d.out.Write(p) }

func TestHandle(t *testing.T) {
	text := strings.Repeat("1234567\x01", 16)
	for role, want := range map[Role]string{Echo: text, Sink: "", Work: text, Block: text} {
		s := &Server{Role: role, Size: 8}
		d := &duplex{in: strings.NewReader(text)}
		s.Handle(d)
		if d.out.String() != want {
			t.Errorf("%s: %q", role, d.out.String())
		}
	}
}

func TestBlocks(t *testing.T) {
	n := 0
	for i := range 256 {
		if Blocks([]byte{byte(i)}) {
			n++
		}
	}
	if n != 32 || Blocks(nil) {
		t.Errorf("%d of 256 messages block", n)
	}
}

// Every reader sees what WriteFile wrote, in the order promised, and a wrong block is found.
func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(WriteFile(f, 3<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	args := Args{"path": path, "size": "4096", "depth": "3", "window": "20"}
	readAt := func(f *os.File) func([]byte, int64) (int, error) { return f.ReadAt }
	for _, random := range []string{"0", "1"} {
		args["random"] = random
		r, err := ReadFile(args, readAt)
		if err != nil || r.Requests == 0 || r.Bytes != r.Requests*4096 || len(r.Quantiles) != len(Quantiles) {
			t.Fatalf("random=%s: %+v %v", random, r, err)
		}
	}
	_, err = ReadFile(args, func(f *os.File) func([]byte, int64) (int, error) {
		return func(p []byte, off int64) (int, error) { return f.ReadAt(p, (off+8)%(2<<20)) }
	})
	if err == nil || !strings.Contains(err.Error(), "in place of") {
		t.Errorf("a read from the wrong place: %v", err)
	}
	_, err = ReadFile(args, func(*os.File) func([]byte, int64) (int, error) {
		return func([]byte, int64) (int, error) { return 7, nil }
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short read: %v", err)
	}
}

func TestSequentialReadersHaveStretches(t *testing.T) {
	f := FileArgs{Size: 10, Blocks: 9, Depth: 3}
	var got []int64
	for i := range 3 {
		next := f.Order(i)
		for range 4 {
			got = append(got, next()/10)
		}
	}
	want := []int64{0, 1, 2, 0, 3, 4, 5, 3, 6, 7, 8, 6}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func TestLatencyOutOfRange(t *testing.T) {
	h := NewHistogram()
	for _, ns := range []int64{-5, 0, 1000, int64(time.Hour)} {
		Record(h, ns)
	}
	var r Result
	r.SetLatency(h)
	if h.TotalCount() != 4 || r.MaxNs < int64(59*time.Second) || r.Quantiles[0] != 1 {
		t.Errorf("%d values, %+v", h.TotalCount(), r)
	}
	r = Result{}
	r.SetLatency(NewHistogram())
	if r.Quantiles != nil {
		t.Error("latencies of nothing")
	}
}
