// The limit that the benchmarks of package file compare with: one thread that reads random blocks through io_uring.
//
//	reader FILE BYTES BLOCK DEPTH SECONDS DIRECT
//
// prints the number of reads, the seconds that they took, and the microseconds of CPU.
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void) {
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

int main(int argc, char **argv) {
	if (argc != 7) return 2;
	long bytes = atol(argv[2]), block = atol(argv[3]);
	int depth = atoi(argv[4]), direct = atoi(argv[6]);
	double seconds = atof(argv[5]);
	int fd = open(argv[1], O_RDONLY | (direct ? O_DIRECT : 0));
	struct io_uring ring;
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	char *memory;
	if (fd < 0 || io_uring_queue_init_params(depth, &ring, &params) != 0 ||
	    posix_memalign((void **)&memory, 4096, block * depth) != 0) {
		perror("reader");
		return 1;
	}
	unsigned long seed = 88172645463325252UL;
	long reads = 0;
	double begin = now(), cpu0 = cpu(), end = begin;
	for (long free = depth, slot = 0; end - begin < seconds; end = now()) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		for (; free > 0 && slot < depth; free--, slot++) { // only the first time
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			io_uring_prep_read(sqe, fd, memory + block * slot, block, seed % (bytes / block) * block);
			sqe->user_data = slot;
		}
		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe(&ring, head, cqe) {
			if (cqe->res != block) {
				fprintf(stderr, "reader: result %d\n", cqe->res);
				return 1;
			}
			long at = cqe->user_data;
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			io_uring_prep_read(sqe, fd, memory + block * at, block, seed % (bytes / block) * block);
			sqe->user_data = at;
			n++;
		}
		io_uring_cq_advance(&ring, n);
		reads += n;
	}
	printf("%ld %f %f\n", reads, end - begin, cpu() - cpu0);
	return 0;
}
