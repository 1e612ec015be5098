/* Loaded into a program by LD_PRELOAD: below the directory ODD_DIRECTORY files are as on other file
 * systems. ODD_FILES names what is missing, separated by commas:
 *   locks    fcntl(2) and flock(2) give no locks (CIFS, many of FUSE)
 *   granted  both give every lock to everybody (NFS without lockd)
 *   mmap     nothing can be mapped to be shared and written (JFFS2, 9p)
 *   dirsync  a directory cannot be synced (CIFS, sshfs)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_odd(int fd, const char *what)
{
    const char *files = getenv("ODD_FILES"), *directory = getenv("ODD_DIRECTORY");
    char name[64], path[4096];
    ssize_t length;
    if (!files || !directory || !strstr(files, what))
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    length = readlink(name, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return !strncmp(path, directory, strlen(directory));
}

static int lock(int fd, int (*real)(int, int, void *), int command, void *argument)
{
    if (command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK) {
        if (is_odd(fd, "locks")) {
            errno = ENOLCK;
            return -1;
        }
        if (is_odd(fd, "granted"))
            return 0;
    }
    return real(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return lock(fd, (int (*)(int, int, void *))dlsym(RTLD_NEXT, "fcntl64"), command, argument);
}

int fcntl(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return lock(fd, (int (*)(int, int, void *))dlsym(RTLD_NEXT, "fcntl"), command, argument);
}

int flock(int fd, int operation)
{
    if (is_odd(fd, "locks")) {
        errno = ENOLCK;
        return -1;
    }
    if (is_odd(fd, "granted"))
        return 0;
    return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(fd, operation);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && is_odd(fd, "mmap")) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    return ((void *(*)(void *, size_t, int, int, int, off64_t))dlsym(RTLD_NEXT, "mmap64"))(
        address, length, protection, flags, fd, offset);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return mmap64(address, length, protection, flags, fd, offset);
}

int fsync(int fd)
{
    struct stat data;
    if (!fstat(fd, &data) && S_ISDIR(data.st_mode) && is_odd(fd, "dirsync")) {
        errno = EINVAL;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
