package executor

import "sync/atomic"

// Runnable is what a Task runs.
type Runnable interface {
	// RunTask is called on the runner of w, which is not always the worker that t was made ready on. It is user
	// code: it may block (the worker is handed over then), panic and Goexit. It is not a coroutine: a Waiter parks.
	RunTask(w *Worker, t *Task)
}

// Task is a piece of work that its owner embeds and makes ready again and again. Init comes first.
//
// State: idle → queued → running → idle. A Ready while it runs makes it "running, again", and it is queued once more
// when the run ends; so runs never overlap, and a Ready that begins before a run's last look is never lost. A
// coroutine's own task has no state here: its Waiter makes sure that it is queued once.
type Task struct {
	next  *Task // in an injection list
	run   Runnable
	co    *Coroutine // the coroutine that this is the task of; run is nil then
	state atomic.Uint32
	prio  Priority
}

const (
	taskIdle uint32 = iota
	taskQueued
	taskRunning
	taskAgain
)

// Init sets what t runs and how urgent it is. t must be idle.
func (t *Task) Init(run Runnable, p Priority) {
	if run == nil {
		panic("executor: Task.Init with a nil Runnable")
	}
	if p >= priorities {
		panic("executor: Task.Init with an unknown Priority")
	}
	t.run, t.prio = run, p
}

// wanted notes that t is to run, and reports whether the caller has to queue it.
func (t *Task) wanted() bool {
	for {
		switch s := t.state.Load(); s {
		case taskIdle:
			if t.state.CompareAndSwap(s, taskQueued) {
				return true
			}
		case taskRunning:
			if t.state.CompareAndSwap(s, taskAgain) {
				return false
			}
		default:
			return false
		}
	}
}

// ran ends a run, and reports whether t has to be queued again.
func (t *Task) ran() bool {
	if t.state.CompareAndSwap(taskRunning, taskIdle) {
		return false
	}
	t.state.Store(taskQueued)
	return true
}

// CommandHandler is told of a command.
type CommandHandler interface {
	// OnCommand is called in loop state on the worker that c was sent to. It must not block.
	OnCommand(w *Worker, c *Command)
}

// Command is a message to a worker's runner. Its owner embeds it and sends it with Worker.Command. Init comes first.
type Command struct {
	next   *Command
	h      CommandHandler
	queued atomic.Bool
}

// Init sets who is told. c must not be queued.
func (c *Command) Init(h CommandHandler) {
	if h == nil {
		panic("executor: Command.Init with a nil CommandHandler")
	}
	c.h = h
}

// taskList is an intrusive list with many producers and one consumer, who takes all at once; so the usual hazard of
// such lists (a node that was popped and pushed again under a slow swap) cannot happen. Once closed it refuses.
type taskList struct{ head atomic.Pointer[Task] }

var closedTasks Task

func (l *taskList) push(t *Task) bool {
	for {
		h := l.head.Load()
		if h == &closedTasks {
			return false
		}
		t.next = h
		if l.head.CompareAndSwap(h, t) {
			return true
		}
	}
}

// takeAll returns the list, oldest first.
func (l *taskList) takeAll() *Task {
	if l.empty() {
		return nil
	}
	var first *Task
	for t := l.head.Swap(nil); t != nil; {
		t.next, first, t = first, t, t.next
	}
	return first
}

func (l *taskList) empty() bool {
	h := l.head.Load()
	return h == nil || h == &closedTasks
}

// close refuses what comes from now on. It fails when something is in the list.
func (l *taskList) close() bool {
	return l.head.CompareAndSwap(nil, &closedTasks) || l.head.Load() == &closedTasks
}

// commandList is a taskList of commands.
type commandList struct{ head atomic.Pointer[Command] }

var closedCommands Command

func (l *commandList) push(c *Command) bool {
	for {
		h := l.head.Load()
		if h == &closedCommands {
			return false
		}
		c.next = h
		if l.head.CompareAndSwap(h, c) {
			return true
		}
	}
}

func (l *commandList) takeAll() *Command {
	if l.empty() {
		return nil
	}
	var first *Command
	for c := l.head.Swap(nil); c != nil; {
		c.next, first, c = first, c, c.next
	}
	return first
}

func (l *commandList) empty() bool {
	h := l.head.Load()
	return h == nil || h == &closedCommands
}

func (l *commandList) close() bool {
	return l.head.CompareAndSwap(nil, &closedCommands) || l.closed()
}

func (l *commandList) closed() bool { return l.head.Load() == &closedCommands }
