/* Several processes that fork and end again and again, in a session of their own, and write down when they were last alive.

   Usage: runners HEART SECONDS PAUSE, where each lives for so many microseconds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
    (void)count;
    double end = now(CLOCK_MONOTONIC) + atof(arguments[2]), last = 0;
    if (fork()) {
        sleep(30);
        _exit(0);
    }
    setsid();
    int heart = open(arguments[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    close(0), close(1), close(2);
    for (int runner = 0; runner < 3 && fork(); runner++) {
    }
    while (now(CLOCK_MONOTONIC) < end) {
        if (syscall(SYS_clone, 17, 0, 0, 0, 0))
            syscall(SYS_exit_group, 0);
        if (atoi(arguments[3]))
            usleep(atoi(arguments[3]));
        if (now(CLOCK_MONOTONIC) - last > 0.02) {
            last = now(CLOCK_MONOTONIC);
            char text[32];
            int length = snprintf(text, sizeof text, "%017.6f", now(CLOCK_REALTIME));
            if (pwrite(heart, text, length, 0) < 0)
                break;
        }
    }
    _exit(0);
}
