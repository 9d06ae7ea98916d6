/* Gets a page with nothing but the C library, which has a resolver of its own where it is linked in. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **words)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *next;
	char text[4096];
	int failed = count == 2 ? getaddrinfo(words[1], "80", &hints, &found) : EAI_NONAME;
	if (failed) {
		fprintf(stderr, "fetch: %s\n", gai_strerror(failed));
		return 1;
	}
	for (next = found; next; next = next->ai_next) {
		int peer = socket(next->ai_family, next->ai_socktype, next->ai_protocol);
		ssize_t length = 0;
		if (peer < 0 || connect(peer, next->ai_addr, next->ai_addrlen)) {
			perror("fetch");
			continue;
		}
		length = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", words[1]);
		for (length = write(peer, text, length); length > 0; fwrite(text, 1, length, stdout))
			if ((length = read(peer, text, sizeof text)) <= 0)
				break;
		return length < 0;
	}
	return 1;
}
