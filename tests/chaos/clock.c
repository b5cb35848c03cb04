/* Preloaded into a server of the tests: its clock is CHAOS_SHIFT seconds ahead, and all of its timers run as they do.
   (libfaketime 0.9.10 lets no timer of PostgreSQL's fire: neither statement_timeout nor the look for deadlocks.) */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift;

__attribute__((constructor)) static void begin(void) {
    const char *said = getenv("CHAOS_SHIFT");
    shift = said ? atol(said) : 0;
}

int clock_gettime(clockid_t which, struct timespec *found) {
    int status = (int)syscall(SYS_clock_gettime, which, found);
    if (status == 0 && which == CLOCK_REALTIME)
        found->tv_sec += shift;
    return status;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (found)
        *found = now.tv_sec;
    return now.tv_sec;
}
