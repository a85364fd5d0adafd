// C io_uring echo server: the limit that the Go engines are measured against.
//
// One thread, one ring (SINGLE_ISSUER, DEFER_TASKRUN), multishot accept into direct descriptors, multishot recv from a
// provided buffer ring, one send in flight per connection straight out of the received buffer.
//
// A buffer is owned by the kernel while it is in the ring, by a connection's queue from its recv completion until the
// completion of the send that echoes it, and goes back to the ring there. A connection's slot is released (close) once
// its recv has ended and its queue is empty.
#include "common.h"
#include <liburing.h>

enum { SQ = 2048, CQ = 16384, GROUP = 0, NONE = 0xffff };
enum { ACCEPT = 1, RECV, SEND, CLOSE, SHUTDOWN };

struct conn {
	uint16_t head, tail; // buffers to be echoed, in order; the first one is being sent
	bool receiving, ended, starved;
};

struct buffer {
	uint32_t off, len;
	uint16_t next;
};

static struct io_uring ring;
static struct io_uring_buf_ring *br;
static struct conn *conns;
static struct buffer *bufs;
static char *memory;
static unsigned nbufs, buf_size, free_bufs, slots;
static uint32_t *starved; // slots whose recv ended for want of a buffer
static unsigned nstarved;
static bool sink;

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *s = io_uring_get_sqe(&ring);

	if (!s) {
		count_syscall();
		io_uring_submit(&ring);
		s = io_uring_get_sqe(&ring);
		if (!s)
			fatal("submission queue", EBUSY);
	}
	return s;
}

// Set after the preparation, which clears user_data in some versions of liburing.
static void tag(struct io_uring_sqe *s, unsigned op, uint32_t slot) { s->user_data = (uint64_t)op << 32 | slot; }

static void arm_accept(int lfd)
{
	struct io_uring_sqe *s = next_sqe();

	io_uring_prep_multishot_accept_direct(s, lfd, NULL, NULL, 0);
	tag(s, ACCEPT, lfd);
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

static void send_head(uint32_t slot)
{
	uint16_t bid = conns[slot].head;
	struct buffer *b = &bufs[bid];
	struct io_uring_sqe *s = next_sqe();

	io_uring_prep_send(s, slot, memory + (size_t)bid * buf_size + b->off, b->len, MSG_WAITALL | MSG_NOSIGNAL);
	s->flags |= IOSQE_FIXED_FILE;
	tag(s, SEND, slot);
}

static void give_back(uint16_t bid)
{
	io_uring_buf_ring_add(br, memory + (size_t)bid * buf_size, buf_size, bid, io_uring_buf_ring_mask(nbufs), 0);
	io_uring_buf_ring_advance(br, 1);
	free_bufs++;
}

static void close_if_done(uint32_t slot)
{
	struct conn *c = &conns[slot];

	if (!c->ended || c->receiving || c->starved || c->head != NONE)
		return;
	struct io_uring_sqe *s = next_sqe();
	io_uring_prep_close_direct(s, slot);
	tag(s, CLOSE, slot);
	c->ended = false;
}

static void on_accept(int lfd, const struct io_uring_cqe *e)
{
	if (e->res >= 0) {
		conns[e->res] = (struct conn){.head = NONE, .tail = NONE};
		arm_recv(e->res, true);
	} else if (e->res != -ECONNABORTED && e->res != -EINTR) {
		fatal("accept", -e->res);
	}
	if (!(e->flags & IORING_CQE_F_MORE))
		arm_accept(lfd);
}

static void enqueue(uint32_t slot, uint16_t bid, uint32_t len)
{
	struct conn *c = &conns[slot];

	bufs[bid] = (struct buffer){.len = len, .next = NONE};
	if (c->head != NONE) {
		bufs[c->tail].next = bid;
		c->tail = bid;
		return;
	}
	c->head = c->tail = bid;
	send_head(slot);
}

static void on_recv(uint32_t slot, const struct io_uring_cqe *e)
{
	struct conn *c = &conns[slot];

	if (e->flags & IORING_CQE_F_BUFFER) {
		uint16_t bid = e->flags >> IORING_CQE_BUFFER_SHIFT;
		free_bufs--;
		if (sink || c->ended || e->res <= 0)
			give_back(bid);
		else
			enqueue(slot, bid, e->res);
	}
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

// A failed send ends the connection: everything queued is dropped and the receive is made to end.
static void send_failed(uint32_t slot)
{
	struct conn *c = &conns[slot];

	while (c->head != NONE) {
		uint16_t bid = c->head;
		c->head = bufs[bid].next;
		give_back(bid);
	}
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
	uint16_t bid = c->head;
	struct buffer *b = &bufs[bid];

	if (e->res <= 0) {
		send_failed(slot);
		return;
	}
	b->off += e->res;
	b->len -= e->res;
	if (b->len) {
		send_head(slot);
		return;
	}
	c->head = b->next;
	give_back(bid);
	if (c->head != NONE)
		send_head(slot);
	else
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

static void setup_ring(void)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = CQ,
	};
	struct rlimit r;
	int err = io_uring_queue_init_params(SQ, &ring, &p);

	if (err)
		fatal("io_uring_setup", -err);
	io_uring_register_ring_fd(&ring);
	slots = 32768;
	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < slots)
		slots = r.rlim_cur;
	if ((err = io_uring_register_files_sparse(&ring, slots)))
		fatal("register files", -err);
	conns = calloc(slots, sizeof *conns);
	starved = calloc(slots, sizeof *starved);
	if (!conns || !starved)
		fatal("calloc", ENOMEM);
}

static void setup_buffers(void)
{
	struct io_uring_buf_reg reg = {.bgid = GROUP};
	int err;

	nbufs = sink ? 64 : 1024;
	buf_size = sink ? 64 * 1024 : 4096;
	bufs = calloc(nbufs, sizeof *bufs);
	br = mmap(NULL, nbufs * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory = mmap(NULL, (size_t)nbufs * buf_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		      -1, 0);
	if (!bufs || br == MAP_FAILED || memory == MAP_FAILED)
		fatal("buffers", ENOMEM);
	reg.ring_addr = (uintptr_t)br;
	reg.ring_entries = nbufs;
	if ((err = io_uring_register_buf_ring(&ring, &reg, 0)))
		fatal("register buffer ring", -err);
	io_uring_buf_ring_init(br);
	for (unsigned i = 0; i < nbufs; i++)
		give_back(i);
}

static void dispatch(const struct io_uring_cqe *e)
{
	uint32_t slot = (uint32_t)e->user_data;

	switch (e->user_data >> 32) {
	case ACCEPT:
		on_accept(slot, e);
		break;
	case RECV:
		on_recv(slot, e);
		break;
	case SEND:
		on_send(slot, e);
		break;
	}
}

int main(int argc, char **argv)
{
	sink = parse_role(argc, argv, ECHO_ROLE | SINK_ROLE) == SINK_ROLE;
	raise_nofile();
	int lfd = open_listener(0);
	setup_ring();
	setup_buffers();
	arm_accept(lfd);
	announce(lfd);
	for (;;) {
		struct io_uring_cqe *e;
		unsigned head, n = 0;

		count_syscall();
		int err = io_uring_submit_and_wait(&ring, 1);
		if (err < 0 && err != -EINTR && err != -EBUSY && err != -EAGAIN)
			fatal("io_uring_enter", -err);
		io_uring_for_each_cqe(&ring, head, e) {
			dispatch(e);
			n++;
		}
		io_uring_cq_advance(&ring, n);
		feed_starved();
	}
}
