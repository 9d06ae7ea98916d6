#include "sieve.h"
#include <math.h>

size_t count_primes(size_t from, size_t to)
{
	size_t found = 0;
	for (size_t number = from < 2 ? 2 : from; number < to; number++) {
		size_t root = (size_t)sqrt((double)number);
		size_t divisor = 2;
		while (divisor <= root && number % divisor != 0)
			divisor++;
		found += divisor > root;
	}
	return found;
}
