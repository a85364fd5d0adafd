// C io_uring server: the limit that the Go engines are measured against.
//
// One thread, one ring (SINGLE_ISSUER, DEFER_TASKRUN), multishot accept into direct descriptors, multishot recv from a
// provided buffer ring, one send in flight per connection.
//
// Echo sends straight out of the received buffers: a buffer is in a connection's queue from its recv completion until the
// completion of the send that echoes it, and goes back to the ring there. One send takes all that has queued up. HTTP
// gives a buffer back at once and sends answers out of memory that never changes. A connection's slot is released (close)
// once its recv has ended and nothing is being sent.
#include "datagrams.h"
#include "ring.h"

enum { NONE = 0xffff, GATHER = 16, ANSWERS = 512 };
enum { ACCEPT = 1, RECV, SEND, CLOSE, SHUTDOWN };

struct conn {
	uint16_t head, tail; // buffers to be echoed, in order; the first ones are being sent
	bool receiving, sending, ended, starved;
	uint8_t seen;   // of a request's end
	uint16_t begun; // bytes of an answer that have left already
	uint32_t owed;  // bytes of answers to be sent
};

struct buffer {
	uint32_t off, len;
	uint16_t next;
};

// What a send of several buffers points to. The kernel reads it when it is submitted, so there are as many as fit into
// the submission queue, used in turn.
static struct { struct msghdr msg; struct iovec parts[GATHER]; } gathers[SQ];
static unsigned next_gather;

static struct conn *conns;
static struct buffer *bufs;
static unsigned slots;
static uint32_t *starved; // slots whose recv ended for want of a buffer
static unsigned nstarved;
static int listener;
static enum role role;
static char answers[ANSWERS * ANSWER];

static void arm_accept(void)
{
	struct io_uring_sqe *s = next_sqe();

	io_uring_prep_multishot_accept_direct(s, listener, NULL, NULL, 0);
	tag(s, ACCEPT, 0);
}

static void arm_recv(uint32_t slot, bool poll_first)
{
	struct io_uring_sqe *s = next_sqe();

	io_uring_prep_recv_multishot(s, slot, NULL, 0, 0);
	s->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
	s->buf_group = GROUP;
	// A new connection has rarely sent anything yet: skip the attempt that would only say EAGAIN.
	if (poll_first)
		s->ioprio |= IORING_RECVSEND_POLL_FIRST;
	tag(s, RECV, slot);
	conns[slot].receiving = true;
}

static void send_queue(uint32_t slot, struct io_uring_sqe *s)
{
	uint16_t bid = conns[slot].head;
	struct buffer *b = &bufs[bid];

	if (b->next == NONE) {
		io_uring_prep_send(s, slot, buffer_at(bid) + b->off, b->len, MSG_WAITALL | MSG_NOSIGNAL);
		return;
	}
	struct iovec *parts = gathers[next_gather % SQ].parts;
	struct msghdr *m = &gathers[next_gather++ % SQ].msg;
	size_t n = 0;
	for (; bid != NONE && n < GATHER; bid = bufs[bid].next)
		parts[n++] = (struct iovec){buffer_at(bid) + bufs[bid].off, bufs[bid].len};
	*m = (struct msghdr){.msg_iov = parts, .msg_iovlen = n};
	io_uring_prep_sendmsg(s, slot, m, MSG_WAITALL | MSG_NOSIGNAL);
}

static void send_answers(uint32_t slot, struct io_uring_sqe *s)
{
	struct conn *c = &conns[slot];
	size_t most = sizeof answers - c->begun;

	io_uring_prep_send(s, slot, answers + c->begun, c->owed < most ? c->owed : most, MSG_WAITALL | MSG_NOSIGNAL);
}

// Sends what there is to be sent, unless a send is in flight.
static void send_more(uint32_t slot)
{
	struct conn *c = &conns[slot];

	if (c->sending || (c->head == NONE && !c->owed))
		return;
	struct io_uring_sqe *s = next_sqe();
	if (role == HTTP_ROLE)
		send_answers(slot, s);
	else
		send_queue(slot, s);
	s->flags |= IOSQE_FIXED_FILE;
	tag(s, SEND, slot);
	c->sending = true;
}

static void close_if_done(uint32_t slot)
{
	struct conn *c = &conns[slot];

	if (!c->ended || c->receiving || c->starved || c->sending)
		return;
	struct io_uring_sqe *s = next_sqe();
	io_uring_prep_close_direct(s, slot);
	tag(s, CLOSE, slot);
	c->ended = false;
}

static void on_accept(const struct io_uring_cqe *e)
{
	if (e->res >= 0) {
		conns[e->res] = (struct conn){.head = NONE, .tail = NONE};
		arm_recv(e->res, true);
	} else if (e->res != -ECONNABORTED && e->res != -EINTR) {
		fatal("accept", -e->res);
	}
	if (!(e->flags & IORING_CQE_F_MORE))
		arm_accept();
}

static void enqueue(struct conn *c, uint16_t bid, uint32_t len)
{
	bufs[bid] = (struct buffer){.len = len, .next = NONE};
	if (c->head == NONE)
		c->head = bid;
	else
		bufs[c->tail].next = bid;
	c->tail = bid;
}

// Does with n received bytes what the role asks for.
static void received(uint32_t slot, uint16_t bid, int n)
{
	struct conn *c = &conns[slot];

	free_bufs--;
	if (role == ECHO_ROLE && !c->ended && n > 0) {
		enqueue(c, bid, n);
		send_more(slot);
		return;
	}
	if (role == HTTP_ROLE && !c->ended && n > 0)
		c->owed += count_requests(buffer_at(bid), n, &c->seen) * ANSWER;
	give_back(bid);
	send_more(slot);
}

static void on_recv(uint32_t slot, const struct io_uring_cqe *e)
{
	struct conn *c = &conns[slot];

	if (e->flags & IORING_CQE_F_BUFFER)
		received(slot, e->flags >> IORING_CQE_BUFFER_SHIFT, e->res);
	if (e->flags & IORING_CQE_F_MORE)
		return;
	c->receiving = false;
	if (e->res == -ENOBUFS && !c->ended) {
		c->starved = true;
		starved[nstarved++] = slot;
		return;
	}
	if (e->res > 0 && !c->ended) {
		arm_recv(slot, false);
		return;
	}
	c->ended = true;
	close_if_done(slot);
}

// Forgets n bytes that were sent, and gives their buffers back.
static void sent(struct conn *c, uint32_t n)
{
	if (role == HTTP_ROLE) {
		c->owed -= n;
		c->begun = (c->begun + n) % ANSWER;
		return;
	}
	while (n) {
		uint16_t bid = c->head;
		struct buffer *b = &bufs[bid];
		uint32_t part = n < b->len ? n : b->len;

		b->off += part;
		b->len -= part;
		n -= part;
		if (b->len)
			return;
		c->head = b->next;
		give_back(bid);
	}
}

// A failed send ends the connection: everything queued is dropped and the receive is made to end.
static void send_failed(uint32_t slot)
{
	struct conn *c = &conns[slot];

	while (c->head != NONE) {
		uint16_t bid = c->head;
		c->head = bufs[bid].next;
		give_back(bid);
	}
	c->owed = 0;
	if (!c->ended && c->receiving) {
		struct io_uring_sqe *s = next_sqe();
		io_uring_prep_shutdown(s, slot, SHUT_RDWR);
		s->flags |= IOSQE_FIXED_FILE;
		tag(s, SHUTDOWN, slot);
	}
	c->ended = true;
	close_if_done(slot);
}

static void on_send(uint32_t slot, const struct io_uring_cqe *e)
{
	struct conn *c = &conns[slot];

	c->sending = false;
	if (e->res <= 0) {
		send_failed(slot);
		return;
	}
	sent(c, e->res);
	send_more(slot);
	close_if_done(slot);
}

static void feed_starved(void)
{
	// Each receive may take a buffer at once, so arm no more than there are buffers.
	for (unsigned n = free_bufs; nstarved && n; n--) {
		uint32_t slot = starved[--nstarved];
		conns[slot].starved = false;
		if (conns[slot].ended)
			close_if_done(slot);
		else
			arm_recv(slot, false);
	}
}

static void dispatch(const struct io_uring_cqe *e)
{
	uint32_t slot = (uint32_t)e->user_data;

	switch (e->user_data >> 32) {
	case ACCEPT:
		on_accept(e);
		break;
	case RECV:
		on_recv(slot, e);
		break;
	case SEND:
		on_send(slot, e);
		break;
	}
}

static void setup_slots(void)
{
	struct rlimit r;
	int err;

	slots = 32768;
	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < slots)
		slots = r.rlim_cur;
	if ((err = io_uring_register_files_sparse(&ring, slots)))
		fatal("register files", -err);
	conns = calloc(slots, sizeof *conns);
	starved = calloc(slots, sizeof *starved);
	bufs = calloc(nbufs, sizeof *bufs);
	if (!conns || !starved || !bufs)
		fatal("calloc", ENOMEM);
	for (size_t i = 0; i < sizeof answers; i++)
		answers[i] = answer[i % ANSWER];
}

int main(int argc, char **argv)
{
	struct task t = parse_task(argc, argv, ECHO_ROLE | SINK_ROLE | HTTP_ROLE | UDP_ROLE);

	role = t.role;
	raise_nofile();
	setup_ring();
	if (role == UDP_ROLE)
		serve_datagrams(t.size);
	// Large buffers where messages are large, as the servers in Go have. What is dropped at once needs few of them, which
	// then stay in the caches.
	if (role == SINK_ROLE)
		setup_buffers(64, 64 * 1024);
	else if (t.size > 4096)
		setup_buffers(256, 64 * 1024);
	else
		setup_buffers(1024, 4096);
	setup_slots();
	listener = open_listener(0);
	arm_accept();
	announce(listener);
	run_ring(dispatch, feed_starved);
}
