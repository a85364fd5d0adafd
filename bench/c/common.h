// What the C reference servers share: arguments, the listening socket, and the life of the process.
//
// Protocol with the suite: the server prints "listening ADDRESS" on standard output once it accepts, serves until
// standard input ends, prints "stats {...}" and exits with 0.
#ifndef OURO_BENCH_COMMON_H
#define OURO_BENCH_COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

// Counted by the serving thread, read once by the watcher at the end: a torn or late value would only blur a
// statistic, so relaxed atomics are enough.
static uint64_t syscalls;

static inline void count_syscall(void) { __atomic_store_n(&syscalls, syscalls + 1, __ATOMIC_RELAXED); }

static inline void fatal(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	exit(1);
}

static void *watch_stdin(void *unused)
{
	char b[64];
	(void)unused;
	while (read(0, b, sizeof b) > 0)
		;
	printf("stats {\"syscalls\":%llu}\n", (unsigned long long)__atomic_load_n(&syscalls, __ATOMIC_RELAXED));
	fflush(stdout);
	_exit(0);
}

enum role { ECHO_ROLE = 1, SINK_ROLE = 2, HTTP_ROLE = 4, UDP_ROLE = 8 };

// What the first argument asks for, and those after it (key=value) as far as they concern these servers.
struct task {
	enum role role;
	// Bytes per message, 0 when it does not matter.
	long size;
};

// Reads the arguments. can is the set of roles that the program has.
static inline struct task parse_task(int argc, char **argv, unsigned can)
{
	static const struct { const char *name; enum role role; } all[] = {
		{"echo", ECHO_ROLE}, {"sink", SINK_ROLE}, {"http", HTTP_ROLE}, {"udp", UDP_ROLE},
	};
	struct task t = {0};

	for (size_t i = 0; argc > 1 && i < sizeof all / sizeof *all; i++)
		if (!strcmp(argv[1], all[i].name) && (can & all[i].role))
			t.role = all[i].role;
	if (!t.role) {
		fprintf(stderr, "cannot be %s\n", argc > 1 ? argv[1] : "nothing");
		exit(2);
	}
	for (int i = 2; i < argc; i++)
		if (!strncmp(argv[i], "size=", 5))
			t.size = atol(argv[i] + 5);
	return t;
}

// An answer for each request of HTTP: all that is looked at is where a request ends.
static const char answer[] = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
			     "Hello, World!";
enum { ANSWER = sizeof answer - 1 };

// Counts the requests that end in the n bytes at b. seen is how much of "\r\n\r\n" the connection has seen so far.
static inline size_t count_requests(const char *b, size_t n, uint8_t *seen)
{
	static const char end[] = "\r\n\r\n";
	size_t requests = 0;

	for (size_t i = 0; i < n; i++) {
		*seen = b[i] == end[*seen] ? *seen + 1 : b[i] == '\r';
		if (*seen == 4) {
			*seen = 0;
			requests++;
		}
	}
	return requests;
}

// Opens a socket of type on a free port of 127.0.0.1.
static inline int open_socket(int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fatal("socket", errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		fatal("bind", errno);
	return fd;
}

// Opens a listening socket. TCP_NODELAY is inherited by the accepted sockets.
static inline int open_listener(int type_flags)
{
	int one = 1;
	int fd = open_socket(SOCK_STREAM | type_flags);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (listen(fd, 4096) < 0)
		fatal("listen", errno);
	return fd;
}

static inline void raise_nofile(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r)) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static inline void announce(int fd)
{
	struct sockaddr_in a;
	socklen_t n = sizeof a;
	pthread_attr_t attr;
	pthread_t t;

	if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		fatal("getsockname", errno);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	if ((errno = pthread_create(&t, &attr, watch_stdin, NULL)))
		fatal("pthread_create", errno);
	printf("listening 127.0.0.1:%d\n", ntohs(a.sin_port));
	fflush(stdout);
}

#endif
