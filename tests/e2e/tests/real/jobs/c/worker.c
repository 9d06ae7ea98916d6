#include "sieve.h"
#include <pthread.h>

enum { THREADS = 4 };

struct share {
	size_t from, to, found;
};

static void *work(void *argument)
{
	struct share *share = argument;
	share->found = count_primes(share->from, share->to);
	return NULL;
}

size_t count_primes_with_threads(size_t bound)
{
	pthread_t threads[THREADS];
	struct share shares[THREADS];
	size_t found = 0;
	for (size_t i = 0; i < THREADS; i++) {
		shares[i] = (struct share){ bound * i / THREADS, bound * (i + 1) / THREADS, 0 };
		if (pthread_create(&threads[i], NULL, work, &shares[i]) != 0)
			return 0;
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		found += shares[i].found;
	}
	return found;
}
