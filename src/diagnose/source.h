/* Bytes of an input, decompressed: plain, gzip, zstd, or a member of a zip archive, from a file or
 * a pipe. Memory is bounded; what expands absurdly is cut off with a message. */
#ifndef CANDOR_DIAGNOSE_SOURCE_H
#define CANDOR_DIAGNOSE_SOURCE_H

#include "base/str.h"

enum {
    SOURCE_RATIO_MAX = 250,        /* an input that grows by more is cut off, once it gave */
    SOURCE_RATIO_FROM = 256 << 20, /* this many bytes */
    ZIP_MEMBERS_MAX = 20000,
};

struct source;

/* A place in a zip archive. */
struct zip_member {
    uint64_t offset; /* of its local header */
    uint64_t packed, size;
    uint16_t method;
    char *name;
};

/* Opens a file ("-": standard input). NULL, and *ret_why says it (the caller frees). */
struct source *source_open(const char *path, char **ret_why);
/* A member of the archive at path. */
struct source *source_open_member(const char *path, const struct zip_member *m, char **ret_why);
struct source *source_close(struct source *s); /* NULL */

/* Up to n bytes of the decompressed content; 0 at the end, or when it had to stop early: then
 * source_problem tells why. */
size_t source_read(struct source *s, char *out, size_t n);
/* NULL if everything went well. Lives as long as the source. */
const char *source_problem(const struct source *s);

/* The descriptor and size of a plain regular file, for reading it in any order; -1 for all others.
 */
int source_plain_fd(const struct source *s, uint64_t *ret_size);
/* Whether the file has grown since it was opened. */
bool source_has_grown(const struct source *s);
/* Whether it is a zip archive, of which only the members can be read. */
bool source_is_zip(const struct source *s);
/* Bytes of the file read so far, packed as they are: for the progress. */
uint64_t source_consumed(const struct source *s);

/* The members of a zip archive that are files. False with *ret_why (the caller frees). The caller
 * frees the names and the array. */
MUST_CHECK bool zip_list(const char *path, struct zip_member **ret, size_t *ret_n, char **ret_why);

#endif
