/* Notes how much of which file has reached the disk: "<size> <path>" for every fsync, in the file $SYNCED. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int note(int fd, int result) {
    char link[64], path[4096], line[4200];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || fstat(fd, &status) != 0) return result;
    path[length] = 0;
    int count = snprintf(line, sizeof line, "%lld %s\n", (long long)status.st_size, path);
    int out = open(getenv("SYNCED"), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (out >= 0 && write(out, line, count) != count) abort();
    close(out);
    return result;
}

int fsync(int fd) {
    return note(fd, ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd));
}

int fdatasync(int fd) {
    return note(fd, ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd));
}
