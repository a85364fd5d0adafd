package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Stats is what a server says about itself when it ends.
type Stats struct {
	// Syscalls is the number of system calls made to serve, from the start on; 0 when it does not count them.
	Syscalls uint64 `json:"syscalls"`
}

// Server is what a server is started with.
type Server struct {
	Role Role
	// Size is the length of a message in bytes, 0 when it does not matter.
	Size int
	// Upstream is where Proxy connects to.
	Upstream string

	stats atomic.Pointer[func() Stats]
}

// Ready says that the server accepts on addr. Call it once.
func (s *Server) Ready(addr string) { fmt.Println("listening", addr) }

// AtExit sets what is printed as statistics when the server ends. Safe from any goroutine.
func (s *Server) AtExit(f func() Stats) { s.stats.Store(&f) }

// Args are a program's arguments after the role.
type Args map[string]string

// Int is the value of key, or 0 when it is not there.
func (a Args) Int(key string) (int, error) {
	v, ok := a[key]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s=%s: give a number that is not negative", key, v)
	}
	return n, nil
}

// Program is what a contestant's program can be. Serve and Do return only on failure and when done, respectively.
type Program struct {
	Serve map[Role]func(*Server) error
	Do    map[Role]func(Args) (Result, error)
}

// Main is the main function of a program: it does what args, those of the command line, say, and returns the exit
// status.
func (p Program) Main(args []string) int {
	if err := p.Run(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Run is Main with the error returned.
func (p Program) Run(args []string) error {
	role, kv, err := parse(args)
	if err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	if do := p.Do[role]; do != nil {
		r, err := do(kv)
		if err != nil {
			return err
		}
		return say("result", r)
	}
	serve := p.Serve[role]
	if serve == nil {
		return fmt.Errorf("cannot be %q; can be %v", role, p.roles())
	}
	size, err := kv.Int("size")
	if err != nil {
		return err
	}
	return runServer(serve, &Server{Role: role, Size: size, Upstream: kv["upstream"]}, kv["profile"])
}

func parse(args []string) (Role, Args, error) {
	if len(args) == 0 {
		return "", nil, errors.New("usage: PROGRAM ROLE [key=value ...]")
	}
	kv := Args{}
	for _, a := range args[1:] {
		k, v, ok := strings.Cut(a, "=")
		if !ok {
			return "", nil, fmt.Errorf("argument %q is not key=value", a)
		}
		kv[k] = v
	}
	return Role(args[0]), kv, nil
}

func (p Program) roles() []Role {
	var r []Role
	for k := range p.Serve {
		r = append(r, k)
	}
	for k := range p.Do {
		r = append(r, k)
	}
	slices.Sort(r)
	return r
}

// runServer serves until standard input ends or serve fails. profile names a file for a CPU profile of all of it.
func runServer(serve func(*Server) error, s *Server, profile string) (err error) {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ended := make(chan error, 2)
	go func() {
		// A plain read(2): the thread sleeps there and costs nothing while the server is measured.
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	go func() {
		err := serve(s)
		if err == nil {
			err = errors.New("stopped serving")
		}
		ended <- err
	}()
	if err := <-ended; err != nil {
		return err
	}
	if f := s.stats.Load(); f != nil {
		return say("stats", (*f)())
	}
	return nil
}

func say(what string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s %s\n", what, b)
	return err
}

// FreeAddress finds an address of network tcp or udp to listen on, for libraries that do not tell which port they were
// given for 0. Somebody else may take it first; the measurement then fails and says so.
func FreeAddress(network string) (string, error) {
	if network == "udp" {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		defer c.Close()
		return c.LocalAddr().String(), nil
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// raiseFileLimit lifts the soft limit of open files to the hard one.
func raiseFileLimit() error {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	r.Cur = r.Max
	return os.NewSyscallError("setrlimit", syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r))
}
