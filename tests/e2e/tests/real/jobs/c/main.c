#include "sieve.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	size_t bound = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	printf("%zu\n", count_primes_with_threads(bound));
	return 0;
}
