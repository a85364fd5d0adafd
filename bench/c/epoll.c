// C epoll echo server: one thread, level-triggered, read and write directly. The reference for what a reactor can do
// without a language runtime.
#include "common.h"
#include <sys/epoll.h>

enum { BUF_SIZE = 64 * 1024, EVENTS = 1024 };

// How much of a request's end a connection has seen is in seen. pend is the tail of a write that did not fit; while there
// is one, only EPOLLOUT is waited for, so the peer's data stays in its socket and memory is bounded by one buffer.
struct conn {
	int fd;
	char *pend;
	size_t off, len;
	uint8_t seen;
};

static int ep;
static enum role role;
static char buf[BUF_SIZE], answers[BUF_SIZE];

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	count_syscall();
	if (epoll_ctl(ep, op, c->fd, &e) < 0)
		fatal("epoll_ctl", errno);
}

static void drop(struct conn *c)
{
	count_syscall();
	close(c->fd);
	free(c->pend);
	free(c);
}

static void accept_all(int lfd)
{
	for (;;) {
		count_syscall();
		int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EAGAIN)
				return;
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			fatal("accept4", errno);
		}
		struct conn *c = calloc(1, sizeof *c);
		if (!c)
			fatal("calloc", ENOMEM);
		c->fd = fd;
		watch(c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static ssize_t send_some(struct conn *c, const char *p, size_t n)
{
	count_syscall();
	ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
	if (w < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return w;
}

// Puts an answer into answers for each request that ends in the n bytes of buf, and returns their length.
static size_t answer_all(struct conn *c, size_t n)
{
	size_t requests = count_requests(buf, n, &c->seen);

	for (size_t i = 0; i < requests; i++)
		memcpy(answers + i * ANSWER, answer, ANSWER);
	return requests * ANSWER;
}

static void readable(struct conn *c)
{
	// A request has at least 18 bytes, so what answers one read fits when it is an eighth of the room.
	size_t room = role == HTTP_ROLE ? sizeof buf / 8 : sizeof buf;
	char *out = buf;

	count_syscall();
	ssize_t n = read(c->fd, buf, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	if (role == SINK_ROLE)
		return;
	if (role == HTTP_ROLE) {
		out = answers;
		n = answer_all(c, n);
		if (!n)
			return;
	}
	ssize_t w = send_some(c, out, n);
	if (w < 0) {
		drop(c);
		return;
	}
	if (w < n) {
		c->len = n - w;
		c->off = 0;
		c->pend = malloc(c->len);
		if (!c->pend)
			fatal("malloc", ENOMEM);
		memcpy(c->pend, out + w, c->len);
		watch(c, EPOLL_CTL_MOD, EPOLLOUT);
	}
}

static void writable(struct conn *c)
{
	ssize_t w = send_some(c, c->pend + c->off, c->len - c->off);

	if (w < 0) {
		drop(c);
		return;
	}
	c->off += w;
	if (c->off == c->len) {
		free(c->pend);
		c->pend = NULL;
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
	}
}

static _Noreturn void serve_udp(void)
{
	int fd = open_socket(SOCK_DGRAM);

	announce(fd);
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof from;

		count_syscall();
		ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
		if (n < 0 && errno != EINTR)
			fatal("recvfrom", errno);
		if (n < 0)
			continue;
		count_syscall();
		if (sendto(fd, buf, n, 0, (struct sockaddr *)&from, len) < 0 && errno != EINTR && errno != EAGAIN &&
		    errno != ECONNREFUSED && errno != ENOBUFS)
			fatal("sendto", errno);
	}
}

int main(int argc, char **argv)
{
	static struct epoll_event ev[EVENTS];
	struct conn listener = {0};

	role = parse_task(argc, argv, ECHO_ROLE | SINK_ROLE | HTTP_ROLE | UDP_ROLE).role;
	raise_nofile();
	if (role == UDP_ROLE)
		serve_udp();
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		fatal("epoll_create1", errno);
	listener.fd = open_listener(SOCK_NONBLOCK);
	watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
	announce(listener.fd);
	for (;;) {
		count_syscall();
		int n = epoll_wait(ep, ev, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			fatal("epoll_wait", errno);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (c == &listener)
				accept_all(c->fd);
			else if (c->pend)
				writable(c);
			else
				readable(c);
		}
	}
}
