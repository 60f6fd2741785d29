/* Reads all inputs with all processors and adds them up. */
#ifndef CANDOR_DIAGNOSE_SCAN_H
#define CANDOR_DIAGNOSE_SCAN_H

#include "base/arena.h"
#include "diagnose/filter.h"
#include "diagnose/model.h"

struct scan_progress {
    uint64_t done, total; /* bytes of the files, packed as they are; total 0: unknown (a pipe) */
    uint64_t elapsed_ns;
};

struct scan_options {
    struct filter filter;
    uint32_t list_max; /* matching requests to keep when the filter lists them */
    uint32_t top;      /* rows of the model's lists */
    unsigned threads;  /* 0: one per processor */
    /* Not 0: read only so many bytes, spread evenly over the plain files; the model is marked as a
     * sample and has no sample lines, as their numbers are not known. */
    uint64_t sample_bytes;
    /* Called by the caller's thread about ten times a second, or NULL. */
    void (*on_progress)(void *arg, const struct scan_progress *p);
    void *arg;
};

/* Bytes of all files that scan_paths would open. */
uint64_t scan_size(const char *const *paths, size_t n);

/* Reads files, folders (with their folders) and "-". The model and all it points to are in the
 * arena. Problems with single files are in model.files; a path that does not exist too. */
struct model *scan_paths(const char *const *paths, size_t n, const struct scan_options *options,
                         struct arena *arena);

#endif
