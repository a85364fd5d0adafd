//go:build linux

package simkernel

import (
	"fmt"
	"sync"
)

// Agent is somebody else in the world: a remote peer, another goroutine of the program. Its methods are called inside a
// Poll without locks.
type Agent interface {
	// Ready reports whether Step would do something.
	Ready() bool
	// Step does one thing, without waiting.
	Step()
}

// Kernel is the simulated kernel. mu guards everything; it is held for no longer than a system call takes, and never
// while somebody else's code runs but the Chooser's.
type Kernel struct {
	cfg   Config
	tally tally

	mu         sync.Mutex
	files      map[int]*file // by descriptor
	lowest     int           // no descriptor below it is free
	sockets    []*socket     // those that bytes may flow from, in the order of their creation
	listeners  map[uint16]*socket
	grams      []*gram // those that datagrams may come from, in the order of their creation
	ports      map[uint16]*gram
	lastPort   uint16
	lastID     int
	backends   []*Backend
	agents     []Agent
	actions    []action // scratch
	happened   int
	frozen     bool
	violations []string
}

// firstFD is the lowest descriptor: far from the process's real ones, so that a call that goes past the simulation
// meets EBADF and not somebody's file.
const firstFD = 1 << 20

// New makes a Kernel.
func New(c Config) *Kernel {
	return &Kernel{
		cfg: c.withDefaults(), files: map[int]*file{}, lowest: firstFD,
		listeners: map[uint16]*socket{}, lastPort: 40000,
	}
}

// Join adds an agent to the world.
func (k *Kernel) Join(a Agent) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.agents = append(k.agents, a)
}

// Tally counts n of what the user of the kernel has had happen; Injected tells of it too.
func (k *Kernel) Tally(name string, n uint64) {
	for ; n > 0; n-- {
		k.tally.add(name)
	}
}

// Injected tells how often each kind of fault was injected.
func (k *Kernel) Injected() map[string]uint64 { return k.tally.all() }

// Violations lists what the users of the kernel did that they must not.
func (k *Kernel) Violations() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.violations...)
}

// OpenFiles is the number of open descriptors.
func (k *Kernel) OpenFiles() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.files)
}

func (k *Kernel) violate(format string, args ...any) {
	k.violations = append(k.violations, fmt.Sprintf(format, args...))
}

func (k *Kernel) choose(n int) int {
	if n <= 1 {
		return 0
	}
	return k.cfg.Chooser.Choose(n)
}

// fault decides whether something goes wrong that does so at the rate given, and counts it.
func (k *Kernel) fault(name string, rate int) bool {
	if rate == 0 || k.choose(1000) < 1000-rate {
		return false
	}
	k.tally.add(name)
	return true
}

// amount chooses how much of most is moved: all, or a part if that is one of the chosen faults.
func (k *Kernel) amount(most int) int {
	if most > 1 && k.fault("short transfer", k.cfg.Faults.Short) {
		return 1 + k.choose(most-1)
	}
	return most
}

// An action is something that can happen now; one of its fields is set.
type action struct {
	flow    *socket
	send    *gram
	request *request
	notice  *loan
	agent   Agent
	letGo   *Backend
}

// Run has things happen until nothing can, or too much has; it is for the time after the backends were closed.
func (k *Kernel) Run() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.act(nil, true) && (k.cfg.Limit == 0 || k.happened <= k.cfg.Limit) {
	}
}

// Freeze stops the network and the agents, until it is called with false.
func (k *Kernel) Freeze(frozen bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frozen = frozen
}

// act has one thing happen: in the network, to requests of b if it is not nil, and to agents if they are to take part.
// It reports false when nothing can. mu is held, but not while an agent is asked.
func (k *Kernel) act(b *Backend, agents bool) bool {
	as := k.actions[:0]
	k.actions = nil // an agent may lead here again
	if b != nil && len(b.held) > 0 {
		as = append(as, action{letGo: b})
	}
	for _, s := range k.sockets {
		if s.canFlow() && !k.frozen {
			as = append(as, action{flow: s})
		}
	}
	for _, s := range k.grams {
		if len(s.out) > 0 && !k.frozen {
			as = append(as, action{send: s})
		}
	}
	if b != nil {
		for _, r := range b.requests {
			if r.can() {
				as = append(as, action{request: r})
			}
		}
		for _, l := range b.loans {
			if l.due() {
				as = append(as, action{notice: l})
			}
		}
	}
	if agents && !k.frozen {
		all := k.agents
		k.mu.Unlock()
		for _, a := range all {
			if a.Ready() {
				as = append(as, action{agent: a})
			}
		}
		k.mu.Lock()
	}
	if len(as) > 0 {
		k.happened++
		switch a := as[k.choose(len(as))]; {
		case a.flow != nil:
			a.flow.flow()
		case a.send != nil:
			a.send.flow()
		case a.request != nil:
			b.advance(a.request)
		case a.notice != nil:
			b.notify(a.notice)
		case a.letGo != nil:
			b.letGo()
		default:
			k.mu.Unlock()
			a.agent.Step()
			k.mu.Lock()
		}
	}
	clear(as)
	k.actions = as[:0]
	return len(as) > 0
}

// settle lets the network come to rest.
func (k *Kernel) settle() {
	for k.act(nil, false) {
	}
}
