/*
 * Loaded into the server by scripts/power-cut (LD_PRELOAD): writes down which bytes of the database
 * and of its write-ahead log were written, and which syncs of them have returned. What was written
 * and not synced may be anything after a power cut.
 *
 * Each record is 24 bytes: what (one character), file (one character), six of nothing, offset,
 * length. A write is recorded when it has returned; a sync when it begins (B) and when it has
 * succeeded (D), with a number in the place of the offset that joins the two.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 65536

struct record {
    char what, file, nothing[6];
    uint64_t offset, length;
};

/* What a descriptor is: 0 not asked yet, 'd' database, 'w' its log, '-' neither. */
static _Atomic char kinds[FILES];
static atomic_uint_fast64_t syncs;
static int log_file = -1;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SYNCLOG");
    if (path)
        log_file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int ends_with(const char *text, const char *end) {
    size_t long_ = strlen(text), short_ = strlen(end);
    return long_ >= short_ && strcmp(text + long_ - short_, end) == 0;
}

static char kind(int fd) {
    if (fd < 0 || fd >= FILES)
        return '-';
    char known = kinds[fd];
    if (!known) {
        char link[64], path[4096];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = 0;
        known = ends_with(path, ".db") ? 'd' : ends_with(path, ".db-wal") ? 'w' : '-';
        kinds[fd] = known;
    }
    return known;
}

static void note(char what, char file, uint64_t offset, uint64_t length) {
    struct record record = {what, file, {0}, offset, length};
    if (log_file >= 0 && write(log_file, &record, sizeof record) != sizeof record)
        abort(); /* Without its log the script would call spoilt what was promised. */
}

int close(int fd) {
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "close");
    if (fd >= 0 && fd < FILES)
        kinds[fd] = 0;
    return real(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "pwrite64");
    ssize_t written = real(fd, data, length, offset);
    if (written > 0 && kind(fd) != '-')
        note('W', kind(fd), offset, written);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return pwrite64(fd, data, length, offset);
}

static int truncated(int result, int fd, off64_t length) {
    if (result == 0 && kind(fd) != '-')
        note('T', kind(fd), length, 0);
    return result;
}

int ftruncate64(int fd, off64_t length) {
    static int (*real)(int, off64_t);
    if (!real)
        real = dlsym(RTLD_NEXT, "ftruncate64");
    return truncated(real(fd, length), fd, length);
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}

static int synced(int (*real)(int), int fd) {
    char file = kind(fd);
    uint64_t number = atomic_fetch_add(&syncs, 1);
    if (file != '-')
        note('B', file, number, 0);
    int result = real(fd);
    if (result == 0 && file != '-')
        note('D', file, number, 0);
    return result;
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "fdatasync");
    return synced(real, fd);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "fsync");
    return synced(real, fd);
}
