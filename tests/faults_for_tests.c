/* Faults of a machine for one process: calls on files below FAULT_PATH fail, kill, or lie.
   FAULT_ERRNO with FAULT_CALL=write|fsync|flock: that call fails. FAULT_KILL=N: the N-th write there
   kills the process, as a node that dies does. FAULT_CLOCK=S: the time of day jumps back and forth by
   S seconds. All are read at every call, so a test switches them on and off. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int meant(int file) {
    const char *path = getenv("FAULT_PATH");
    char link[64], found[4096];
    ssize_t size;
    if (!path) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, found, sizeof found - 1);
    if (size <= 0) return 0;
    found[size] = 0;
    return strncmp(found, path, strlen(path)) == 0;
}

static int fails(int file, const char *call) {
    const char *wanted = getenv("FAULT_CALL"), *number = getenv("FAULT_ERRNO");
    if (!wanted || !number || strcmp(wanted, call) || !meant(file)) return 0;
    errno = atoi(number);
    return 1;
}

static void may_die(int file) {
    static int writes = 0;
    const char *number = getenv("FAULT_KILL");
    if (number && meant(file) && ++writes == atoi(number)) kill(getpid(), SIGKILL);
}

ssize_t write(int file, const void *data, size_t size) {
    ssize_t (*original)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (fails(file, "write")) return -1;
    may_die(file);
    return original(file, data, size);
}

int fsync(int file) {
    int (*original)(int) = dlsym(RTLD_NEXT, "fsync");
    return fails(file, "fsync") ? -1 : original(file);
}

int flock(int file, int operation) {
    int (*original)(int, int) = dlsym(RTLD_NEXT, "flock");
    return fails(file, "flock") ? -1 : original(file, operation);
}

int clock_gettime(clockid_t clock, struct timespec *found) {
    static int calls = 0;
    int (*original)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int told = original(clock, found);
    const char *seconds = getenv("FAULT_CLOCK");
    if (seconds && clock == CLOCK_REALTIME) found->tv_sec += (++calls / 3 % 2 ? 1 : -1) * atol(seconds);
    return told;
}
