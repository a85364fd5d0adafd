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

// Reads the scenario (the only argument) and reports whether data is to be dropped instead of echoed.
static inline bool parse_sink(int argc, char **argv)
{
	if (argc != 2 || (strcmp(argv[1], "echo") && strcmp(argv[1], "sink"))) {
		fprintf(stderr, "usage: %s echo|sink\n", argv[0]);
		exit(2);
	}
	return !strcmp(argv[1], "sink");
}

// Opens a listening socket on a free port of 127.0.0.1. TCP_NODELAY is inherited by the accepted sockets.
static inline int open_listener(int type_flags)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);

	if (fd < 0)
		fatal("socket", errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
		fatal("bind", errno);
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
