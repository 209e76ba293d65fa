/* Preloaded into a process: notes, after each fsync and fdatasync of a regular file, how much of it is on the disk.
   A line is "device inode bytes" in the file that MERCER_CHAOS_SYNCED names. The size is taken before the call, so
   that bytes written meanwhile do not count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int noted(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    struct stat status;
    int known = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    int code = real(file);
    const char *path = getenv("MERCER_CHAOS_SYNCED");
    if (code == 0 && known && path) {
        char line[96];
        int length = snprintf(line, sizeof line, "%lu %lu %lld\n", (unsigned long)status.st_dev,
                              (unsigned long)status.st_ino, (long long)status.st_size);
        int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log >= 0) {
            if (write(log, line, (size_t)length) != length) abort();
            close(log);
        }
    }
    return code;
}

int fsync(int file) { return noted("fsync", file); }
int fdatasync(int file) { return noted("fdatasync", file); }
