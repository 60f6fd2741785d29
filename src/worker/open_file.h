/* An open file as responses use it: content in memory when it is small, else a descriptor that is
 * handed to the listener once. Belongs to one pipeline thread; references are counted. */
#ifndef CANDOR_WORKER_OPEN_FILE_H
#define CANDOR_WORKER_OPEN_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct channel;

enum { FILE_MEMORY_MAX = 20 * 1024 }; /* above, the listener's sendfile is cheaper than copies */

struct open_file {
    uint32_t refs;
    uint32_t handle;          /* the listener's name for it; 0: not handed over */
    struct channel *channel;  /* that gave the handle */
    int fd;                   /* -1: all of it is in memory */
    char *content;            /* size bytes, or NULL: not in memory */
    uint64_t size;            /* when opened */
    int64_t mtime_s;
    uint32_t mtime_ns;
    int64_t ctime_s;
    uint32_t ctime_ns;
    uint64_t ino, dev;
};

/* Opens a regular file for reading, small ones at once into memory. The only reference is the
 * caller's. NULL with errno (EACCES, ENOENT …, ENODEV: not a regular file). */
struct open_file *open_file_new(const char *path);
static inline void open_file_ref(struct open_file *f)
{
    f->refs++;
}
/* Returns NULL; NULL is allowed. The last one closes the file here and at the listener. */
struct open_file *open_file_unref(struct open_file *f);

/* n bytes from offset into out. False if the file has become shorter or cannot be read. */
bool open_file_read(const struct open_file *f, uint64_t offset, char *out, size_t n);

#endif
