package simtest

// gramMutations are the bugs that TestSimDatagrams must find.
var gramMutations = []mutation{
	// What is received.
	{"a batch shows the sender of an earlier datagram", "net/udp_batch.go",
		"	if last == nil || last.from != r.From || last.zone != r.Zone {", "	if last == nil || last.zone != r.Zone {"},
	{"a datagram's lease is released before its handler runs", "net/servepacket_linux.go",
		"	defer in.Lease.Release()\n", "	in.Lease.Release()\n"},
	{"a packet is released before it is copied", "proactor/packet_recv.go",
		"	if r.N = copy(p, payload); r.N < len(payload) {", "	if last {\n		l := c.inbox.front()\n		l.Release()\n	}\n	if r.N = copy(p, payload); r.N < len(payload) {"},
	{"datagrams that the kernel has joined come as one", "proactor/packet_recv.go",
		"	if seg := dgram.Segment(m.Control); seg > 0 && seg < len(payload) {", "	if seg := dgram.Segment(m.Control); seg > 0 && seg < len(payload) && len(p) == 0 {"},
	{"the next datagram begins where the last joined one did", "proactor/packet_recv.go",
		"	c.cut = 0\n	c.inbox.pop().Release()\n", "	c.inbox.pop().Release()\n"},
	{"a direct read overtakes the receive that ends", "proactor/packet_recv.go",
		"			if c.recvOn || !c.recvDirect() {", "			if !c.recvDirect() {"},

	// Arming again, and wake-ups.
	{"a receive of datagrams that ended is not armed again", "proactor/packet_recv.go",
		"	if c.wantsRecv() {\n		var rescue []byte\n", "	if c.wantsRecv() && r.Errno != 0 {\n		var rescue []byte\n"},
	{"a paused receive of datagrams is not resumed", "proactor/packet_recv.go",
		"	c.paused = false\n	return !c.closed\n", "	c.paused = false\n	return false\n"},
	{"Close of a datagram socket wakes no reader", "proactor/packet.go",
		"	c.inbox.drop()\n	c.wakeReaders()\n", "	c.inbox.drop()\n"},
	{"a reader of datagrams that was woken is taken for one that runs still", "proactor/packet_recv.go",
		"		c.mu.Lock()\n		c.waking = false\n", "		c.mu.Lock()\n"},
	{"a deadline wakes no reader of datagrams", "proactor/packet_deadline.go",
		"		if c.passed(c.readAt) {\n			c.wakeReaders()\n", "		if c.passed(c.readAt) {\n"},
	{"the end of a context wakes no reader of datagrams", "proactor/packet_recv.go",
		"		c.mu.Lock()\n		c.wakeReaders()\n		c.mu.Unlock()\n", "		c.mu.Lock()\n		c.mu.Unlock()\n"},

	// What is sent.
	{"the tail of a batch is lost where the socket had no room", "proactor/packet_send.go",
		"			if err != nil || done == len(ms) {\n				return done, err\n", "			if err == nil || done == len(ms) {\n				return len(ms), err\n"},
	{"the second of segments is lost", "net/udp_gso.go",
		"			for j := 1; j < run; j++ {\n", "			for j := 2; j < run; j++ {\n"},
	{"EINTR is an error for a send that is to end", "proactor/packet_batch.go",
		"	stopped := again || r.Errno == syscall.ECANCELED", "	stopped := r.Errno == syscall.ECANCELED"},
	{"ECANCELED that nobody asked for ends the send of a datagram", "proactor/packet_batch.go",
		"	if again && !c.ends(b) {", "	if again && r.Errno != syscall.ECANCELED && !c.ends(b) {"},
	{"Send keeps the caller's memory", "proactor/packet_batch.go",
		"	b.payload = append(b.payload[:0], payload...)\n", "	b.payload = payload\n"},
	{"a datagram that Send has accepted and lost is not counted", "proactor/packet_batch.go",
		"		c.dropped++\n", "		_ = c.dropped\n"},

	// What is left behind.
	{"a datagram socket is closed under its sends", "proactor/packet.go",
		" || c.uses > 0 || c.flying.head != nil ||", " || c.uses > 0 ||"},
	{"a datagram socket is closed under its receive", "proactor/packet.go",
		"c.finished || c.recvOn || c.polled()", "c.finished || c.polled()"},
	{"a datagram socket's port is in use behind a poll that has ended", "proactor/packet_raw.go",
		"	if c.polled() {\n		c.fence.need(c.loop)\n	}\n", ""},
	{"what arrives for a closed datagram socket is kept", "proactor/packet_recv.go",
		"	if c.closed {\n		l.Release()\n", "	if c.closed {\n"},
}
