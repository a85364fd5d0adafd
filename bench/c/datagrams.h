// UDP echo on the ring: one multishot recvmsg into provided buffers, each of which begins with the sender's address and is
// sent back from where it lies. A buffer goes back to the ring when its send is complete.
#ifndef OURO_BENCH_DATAGRAMS_H
#define OURO_BENCH_DATAGRAMS_H

#include "ring.h"

enum { DATAGRAM_RECV = 1, DATAGRAM_SEND };

static int datagrams;
static struct msghdr datagram_shape; // what a received datagram's buffer has besides the payload
static struct { struct msghdr msg; struct iovec part; } *replies; // by buffer

static inline void arm_datagrams(void)
{
	struct io_uring_sqe *s = next_sqe();

	io_uring_prep_recvmsg_multishot(s, datagrams, &datagram_shape, 0);
	s->flags |= IOSQE_BUFFER_SELECT;
	s->buf_group = GROUP;
	tag(s, DATAGRAM_RECV, 0);
}

static inline void reply(uint16_t bid, int n)
{
	struct io_uring_recvmsg_out *o = io_uring_recvmsg_validate(buffer_at(bid), n, &datagram_shape);

	if (!o) {
		give_back(bid);
		return;
	}
	replies[bid].part = (struct iovec){io_uring_recvmsg_payload(o, &datagram_shape),
					   io_uring_recvmsg_payload_length(o, n, &datagram_shape)};
	replies[bid].msg = (struct msghdr){.msg_name = io_uring_recvmsg_name(o), .msg_namelen = o->namelen,
					   .msg_iov = &replies[bid].part, .msg_iovlen = 1};
	struct io_uring_sqe *s = next_sqe();
	io_uring_prep_sendmsg(s, datagrams, &replies[bid].msg, 0);
	tag(s, DATAGRAM_SEND, bid);
}

static inline void on_datagram(const struct io_uring_cqe *e)
{
	if (e->user_data >> 32 == DATAGRAM_SEND) {
		give_back((uint16_t)e->user_data); // a reply that could not be sent is lost, as others are
		return;
	}
	if (e->flags & IORING_CQE_F_BUFFER) {
		free_bufs--;
		if (e->res > 0)
			reply(e->flags >> IORING_CQE_BUFFER_SHIFT, e->res);
		else
			give_back(e->flags >> IORING_CQE_BUFFER_SHIFT);
	} else if (e->res < 0 && e->res != -ENOBUFS && e->res != -EINTR && e->res != -ECONNREFUSED) {
		fatal("recvmsg", -e->res);
	}
	if (!(e->flags & IORING_CQE_F_MORE))
		arm_datagrams();
}

// Serves until the program ends.
static inline _Noreturn void serve_datagrams(long size)
{
	bool large = size > 2048;

	datagram_shape.msg_namelen = sizeof(struct sockaddr_in);
	setup_buffers(large ? 64 : 512, large ? 80 * 1024 : 4096);
	replies = calloc(nbufs, sizeof *replies);
	if (!replies)
		fatal("calloc", ENOMEM);
	datagrams = open_socket(SOCK_DGRAM);
	arm_datagrams();
	announce(datagrams);
	run_ring(on_datagram, NULL);
}

#endif
