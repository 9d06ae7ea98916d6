#ifndef SIEVE_H
#define SIEVE_H
#include <stddef.h>

/* Counts the primes in [from, to). */
size_t count_primes(size_t from, size_t to);

/* Counts the primes below a bound with several threads. */
size_t count_primes_with_threads(size_t bound);

#endif
