// C io_uring file reader: the limit that file contestants are measured against. One thread, one ring (SINGLE_ISSUER,
// DEFER_TASKRUN), depth reads in flight, each replaced when it is done.
//
// Arguments: file path= size= depth= random= direct= warmup= window= (milliseconds). It prints "result {...}". Every
// block's first and last word are checked (see protocol.FileWord).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *path;
static long size, depth, is_random, direct, warmup, window;

// A reader: its buffer and where it reads. Sequential readers have a stretch of the file each.
struct reader {
	char *buf;
	uint64_t offset, next, rng, started;
};

static struct reader *readers;
static uint64_t blocks, done, measured;

// Latencies in a log-linear histogram: 64 steps for each power of two.
enum { STEPS = 64 };
static uint64_t hist[64 * STEPS];

static void fail(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void parse(int argc, char **argv)
{
	struct { const char *key; long *to; } numbers[] = {
		{"size=", &size}, {"depth=", &depth}, {"random=", &is_random}, {"direct=", &direct},
		{"warmup=", &warmup}, {"window=", &window},
	};

	if (argc < 2 || strcmp(argv[1], "file")) {
		fprintf(stderr, "cannot be %s\n", argc > 1 ? argv[1] : "nothing");
		exit(2);
	}
	for (int i = 2; i < argc; i++) {
		if (!strncmp(argv[i], "path=", 5))
			path = argv[i] + 5;
		for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
			if (!strncmp(argv[i], numbers[k].key, strlen(numbers[k].key)))
				*numbers[k].to = atol(argv[i] + strlen(numbers[k].key));
	}
	if (!path || size < 8 || depth < 1 || window < 1) {
		fprintf(stderr, "path=, size= of at least 8, depth= and window= of at least 1 are needed\n");
		exit(2);
	}
}

static uint64_t next_offset(struct reader *r, uint64_t i)
{
	if (is_random) {
		r->rng ^= r->rng << 13;
		r->rng ^= r->rng >> 7;
		r->rng ^= r->rng << 17;
		return r->rng % blocks * size;
	}
	uint64_t stretch = blocks / depth;
	return (i * stretch + r->next++ % stretch) * size;
}

static void submit(struct io_uring *ring, int fd, uint64_t i)
{
	struct reader *r = &readers[i];
	struct io_uring_sqe *s = io_uring_get_sqe(ring);

	if (!s)
		fail("submission queue", EBUSY);
	r->offset = next_offset(r, i);
	r->started = now();
	io_uring_prep_read(s, fd, r->buf, size, r->offset);
	s->user_data = i;
}

static uint64_t word(uint64_t off) { return off * 0x9e3779b97f4a7c15ull; }

static void check(struct reader *r)
{
	uint64_t first, last;

	memcpy(&first, r->buf, 8);
	memcpy(&last, r->buf + size - 8, 8);
	if (first != word(r->offset) || last != word(r->offset + size - 8)) {
		fprintf(stderr, "offset %llu: wrong contents\n", (unsigned long long)r->offset);
		exit(1);
	}
}

static void record(uint64_t ns)
{
	unsigned log = ns < STEPS ? 0 : 63 - __builtin_clzll(ns) - 5;

	hist[log * STEPS + (ns >> log)]++;
	measured++;
}

static uint64_t quantile(double q)
{
	uint64_t left = q / 100 * measured + 0.5, last = 0;

	for (unsigned i = 0; i < sizeof hist / sizeof *hist; i++) {
		if (!hist[i])
			continue;
		last = (uint64_t)(i % STEPS + 1) << (i / STEPS);
		if (hist[i] >= left)
			break;
		left -= hist[i];
	}
	return last;
}

static void report(uint64_t ns, const struct rusage *a, const struct rusage *b)
{
	static const double qs[] = {0, 5, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100};
	long long user = (b->ru_utime.tv_sec - a->ru_utime.tv_sec) * 1000000000ll +
			 (b->ru_utime.tv_usec - a->ru_utime.tv_usec) * 1000ll;
	long long sys = (b->ru_stime.tv_sec - a->ru_stime.tv_sec) * 1000000000ll +
			(b->ru_stime.tv_usec - a->ru_stime.tv_usec) * 1000ll;
	long switches = b->ru_nvcsw - a->ru_nvcsw + b->ru_nivcsw - a->ru_nivcsw;

	printf("result {\"requests\":%llu,\"bytes\":%llu,\"totalRequests\":%llu,\"windowNs\":%llu,\"serverCpuNs\":%lld,"
	       "\"serverSystemNs\":%lld,\"serverSwitches\":%ld,\"p50Ns\":%llu,\"p99Ns\":%llu,\"maxNs\":%llu,\"quantilesNs\":[",
	       (unsigned long long)measured, (unsigned long long)measured * size, (unsigned long long)done,
	       (unsigned long long)ns, user + sys, sys, switches, (unsigned long long)quantile(50),
	       (unsigned long long)quantile(99), (unsigned long long)quantile(100));
	for (size_t i = 0; i < sizeof qs / sizeof *qs; i++)
		printf("%s%llu", i ? "," : "", (unsigned long long)quantile(qs[i]));
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	struct rusage before, after;
	struct stat st;
	uint64_t begin = 0, warm;
	int err;

	parse(argc, argv);
	int fd = open(path, O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
	if (fd < 0 || fstat(fd, &st) < 0)
		fail(path, errno);
	blocks = st.st_size / size;
	if (blocks < (uint64_t)depth)
		fail("blocks in the file", EINVAL);
	if ((err = io_uring_queue_init_params(depth < 8 ? 8 : depth, &ring, &p)))
		fail("io_uring_setup", -err);
	readers = calloc(depth, sizeof *readers);
	for (long i = 0; i < depth; i++) {
		if (posix_memalign((void **)&readers[i].buf, 4096, size))
			fail("memory", ENOMEM);
		readers[i].rng = (i + 1) * 0x9e3779b97f4a7c15ull;
		submit(&ring, fd, i);
	}
	warm = now() + warmup * 1000000ull;
	for (;;) {
		struct io_uring_cqe *e;
		unsigned head, n = 0;

		if ((err = io_uring_submit_and_wait(&ring, 1)) < 0 && err != -EINTR)
			fail("io_uring_enter", -err);
		uint64_t t = now();
		if (!begin && t >= warm) {
			begin = t;
			getrusage(RUSAGE_SELF, &before);
		}
		io_uring_for_each_cqe(&ring, head, e) {
			struct reader *r = &readers[e->user_data];
			n++;
			if (e->res != size)
				fail("read", e->res < 0 ? -e->res : EIO);
			check(r);
			done++;
			if (begin && r->started >= begin)
				record(t - r->started);
			submit(&ring, fd, e->user_data);
		}
		io_uring_cq_advance(&ring, n);
		if (begin && t - begin >= window * 1000000ull) {
			getrusage(RUSAGE_SELF, &after);
			report(t - begin, &before, &after);
			return 0;
		}
	}
}
