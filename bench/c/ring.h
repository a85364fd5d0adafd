// The ring, and the provided buffers that its receives take from. For one thread.
//
// A buffer is the kernel's while it is in the buffer ring, and the program's from the completion that hands it over until
// give_back.
#ifndef OURO_BENCH_RING_H
#define OURO_BENCH_RING_H

#include "common.h"
#include <liburing.h>

enum { SQ = 2048, CQ = 16384, GROUP = 0 };

static struct io_uring ring;
static struct io_uring_buf_ring *br;
static char *memory;
static unsigned nbufs, buf_size, free_bufs;

static inline char *buffer_at(unsigned bid) { return memory + (size_t)bid * buf_size; }

static inline struct io_uring_sqe *next_sqe(void)
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
static inline void tag(struct io_uring_sqe *s, unsigned op, uint32_t value) { s->user_data = (uint64_t)op << 32 | value; }

static inline void give_back(uint16_t bid)
{
	io_uring_buf_ring_add(br, buffer_at(bid), buf_size, bid, io_uring_buf_ring_mask(nbufs), 0);
	io_uring_buf_ring_advance(br, 1);
	free_bufs++;
}

static inline void setup_ring(void)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = CQ,
	};
	int err = io_uring_queue_init_params(SQ, &ring, &p);

	if (err)
		fatal("io_uring_setup", -err);
	io_uring_register_ring_fd(&ring);
}

// Makes n buffers, a power of two, of size bytes and hands them to the kernel.
static inline void setup_buffers(unsigned n, unsigned size)
{
	struct io_uring_buf_reg reg = {.bgid = GROUP, .ring_entries = n};
	int err;

	nbufs = n;
	buf_size = size;
	br = mmap(NULL, n * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory = mmap(NULL, (size_t)n * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (br == MAP_FAILED || memory == MAP_FAILED)
		fatal("buffers", ENOMEM);
	reg.ring_addr = (uintptr_t)br;
	if ((err = io_uring_register_buf_ring(&ring, &reg, 0)))
		fatal("register buffer ring", -err);
	io_uring_buf_ring_init(br);
	for (unsigned i = 0; i < n; i++)
		give_back(i);
}

// Serves for ever: each turn submits what the last one has queued, in the call that waits. after_turn may be NULL.
static inline _Noreturn void run_ring(void (*dispatch)(const struct io_uring_cqe *), void (*after_turn)(void))
{
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
		if (after_turn)
			after_turn();
	}
}

#endif
