package simtest

// A mutation is a bug that is put back on purpose: in file, which is named from the root of the module, old stands once
// and becomes new.
type mutation struct {
	name, file, old, new string
}

// mutations are the bugs that TestSim must find; fileMutations are for TestSimFiles.
var mutations = []mutation{
	// Memory and descriptors that are given away while the kernel works on them.
	{"a send's buffer is released when it is submitted", "proactor/conn_send.go",
		"	c.out.send, c.sendOn = o, true\n", "	c.out.send, c.sendOn = o, true\n	c.out.lease.Release()\n"},
	{"a read's buffer is released before it is copied", "proactor/conn_read.go",
		"	n = copy(p, l.Bytes())\n", "	b := l.Bytes()\n	if len(b) <= len(p) {\n		l.Release()\n	}\n	n = copy(p, b)\n"},
	{"the descriptor is closed while a receive is in flight", "proactor/conn.go",
		"c.finished || c.recvOn || c.sendOn", "c.finished || c.sendOn"},
	{"the descriptor is closed while a send is in flight", "proactor/conn.go",
		"c.finished || c.recvOn || c.sendOn", "c.finished || c.recvOn"},
	{"a listener's descriptor is closed while an accept that has ended holds it", "proactor/acceptor.go",
		"		if a.fence.passed(a.loop, a) {\n", "		if a.fence.passed(a.loop, a) || true {\n"},
	{"a closed connection does not wait for what Send has accepted", "proactor/conn.go",
		" || c.uses > 0 || c.outPending() {", " || c.uses > 0 {"},

	// Identities.
	{"the generation of a completion is not checked", "internal/op/table.go",
		"o != nil && o.ref == r {", "o != nil {"},
	{"a slot is given out in the same generation again", "internal/op/table.go",
		"	gen := (t.gens[i] + 1) & genMask\n", "	gen := t.gens[i] & genMask\n"},

	// Wake-ups.
	{"a worker that sleeps is not woken", "executor/worker.go",
		"		w.driver.Wake()\n", "		_ = w.driver\n"},
	{"a coroutine that was woken is not made ready", "executor/waiter.go",
		"			co.home.enqueue(&co.task)\n", "			_ = co.home\n"},
	{"data wakes no reader", "proactor/conn_recv.go",
		"	if c.wait != nil && c.wait.reading {\n		c.wait.read.Wake()\n", "	if c.wait != nil && c.wait.reading && c.rerr() != nil {\n		c.wait.read.Wake()\n"},
	{"the end of the stream wakes no reader", "proactor/conn_recv.go",
		"		c.setRerr(err)\n	}\n	c.notify()\n", "		c.setRerr(err)\n	}\n"},
	{"the end of a send wakes no writer", "proactor/conn_send.go",
		"		c.wait.write.Wake()\n		return\n", "		return\n"},
	{"a direct read does not wait for the end of the receive ahead", "proactor/conn_poll.go",
		"		case c.recvOn:\n", "		case c.recvOn && !c.wait.passing:\n"},
	{"a reader does not pass its turn on", "proactor/conn_read.go",
		"	if len(w.readers) > 0 {\n		w.readers[0].Wake()\n", "	if len(w.readers) > 0 {\n"},
	{"Close wakes nobody", "proactor/conn.go",
		"	if c.wait != nil {\n		c.wait.wakeAll()\n	}\n	c.notify()\n", ""},

	// Arming again.
	{"a receive that ended is not armed again", "proactor/conn_recv.go",
		"		case c.wantsRecv():\n			c.startRecv(op.Recv)\n", "		case c.wantsRecv() && r.Errno != 0:\n			c.startRecv(op.Recv)\n"},
	{"an accept that ended is not armed again", "proactor/acceptor.go",
		"	if !a.on {\n		a.reconcile()\n	}\n", "	if !a.on && a.closed {\n		a.reconcile()\n	}\n"},
	{"an accept is not armed again after a pause", "proactor/acceptor.go",
		"	a.paused = false\n	a.reconcile()\n", "	a.paused = false\n"},
	{"a paused receive is not resumed", "proactor/conn_recv.go",
		"	c.paused = false\n	return !c.closed\n", "	c.paused = false\n	return false\n"},
	{"a short send is not continued", "proactor/conn_send.go",
		"	if len(o.bytes) > 0 && c.werr() == nil && !c.stopsSend() {", "	if len(o.bytes) > 0 && c.werr() == nil && r.Result == 0 && !c.stopsSend() {"},

	// Results.
	{"EINTR of a receive is an error", "proactor/conn_recv.go",
		"	case c.closed, c.recv.Again(r), r.Errno == syscall.ECANCELED:", "	case c.closed, r.Errno == syscall.ECANCELED:"},
	{"ECANCELED that nobody asked for ends a send", "proactor/conn_send.go",
		"	case r.Errno == syscall.EINTR || r.Errno == syscall.ECANCELED:", "	case r.Errno == syscall.EINTR || c.stopsSend() && r.Errno == syscall.ECANCELED:"},
	{"a short send is sent from the start again", "proactor/conn_send.go",
		"		o.bytes = o.bytes[r.Result:]\n", "		if int(r.Result) == len(o.bytes) {\n			o.bytes = nil\n		}\n"},
	{"the end of the stream overtakes the data", "proactor/conn_read.go",
		"	case c.inbox.len() > 0:\n		return true, nil\n	case c.rerr() != nil:\n		return true, c.readError()\n",
		"	case c.rerr() != nil:\n		return true, c.readError()\n	case c.inbox.len() > 0:\n		return true, nil\n"},
	{"a read that takes part of a buffer drops the rest", "proactor/conn_read.go",
		"		*l = l.Slice(n, l.Len())\n		return n, done, false\n", "		return n, c.inbox.pop(), false\n"},
	{"no buffer counts as the end", "proactor/conn_recv.go",
		"		if c.wantsRecv() {\n			c.startRecv(op.RecvInto)\n		}\n", "		c.endRecv(callError(\"read\", r.Errno))\n"},
	{"a lack of descriptors ends the accepting", "proactor/acceptor.go",
		"	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:", "	case syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:"},
	{"a connection that was reset before it was accepted ends the accepting", "proactor/acceptor.go",
		"	case syscall.ECONNABORTED, syscall.EPROTO,", "	case syscall.EPROTO,"},

	// Deadlines.
	{"a deadline wakes no reader", "proactor/conn_deadline.go",
		"		if c.passed(w.readAt) {\n			w.read.Wake()\n", "		if c.passed(w.readAt) {\n"},
	{"a deadline cancels no send", "proactor/conn_deadline.go",
		"			c.out.cancel = true\n			kick = true\n", "			kick = true\n"},
	{"a timer that went off counts as set", "proactor/conn_deadline.go",
		"	w.armed = 0\n	if w.expire() {", "	if w.expire() {"},
	{"a timer set to an earlier time stays where it was", "executor/timer.go",
		"	} else if i := t.pos - 1; at < q.heap[i].key {", "	} else if i := t.pos - 1; at > q.heap[i].key && false {"},

	// Bounds.
	{"a reader that lags does not stop the receiving", "proactor/conn_recv.go",
		"	if !c.paused && c.behind() {", "	if !c.paused && c.behind() && c.closed {"},
	{"Send accepts without bound", "proactor/conn_send.go",
		"		return ErrWriteQueueFull\n", "		return nil\n"},

	// What is left behind.
	{"the buffers of a closed connection are kept", "proactor/conn.go",
		"		c.discarded = true\n		c.inbox.drop()\n", "		c.discarded = true\n"},
	{"what arrives for a closed connection is kept", "proactor/conn_recv.go",
		"		c.discarded = true\n		l.Release()\n		return\n", "		c.discarded = true\n		return\n"},
	{"a connection that arrives at a closed acceptor is kept", "proactor/acceptor.go",
		"	case drop:\n		a.loop.engine.system.Close(fd, op.Reset)\n", "	case drop:\n"},
	{"the operator's shutdown forgets the acceptors", "proactor/engine.go",
		"		a.stop()\n	}\n", "		_ = a\n	}\n"},
}
