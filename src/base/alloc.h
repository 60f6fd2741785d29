/* Memory for start-up and the control plane: these end the process when memory is out. */
#ifndef CANDOR_BASE_ALLOC_H
#define CANDOR_BASE_ALLOC_H

#include <stddef.h>

#include "base/rc.h"

/* Memory that is used again hides what AddressSanitizer could see; such lists stay empty then. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALLOC_IS_WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ALLOC_IS_WATCHED 1
#endif
#if !defined(ALLOC_IS_WATCHED)
#define ALLOC_IS_WATCHED 0
#endif

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
/* Room for one more element of size bytes in an array that has *cap: doubles when n == *cap. */
void *xgrow(void *p, size_t n, size_t *cap, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *z) __attribute__((malloc, returns_nonnull));

/* printf into fresh memory; the caller frees. */
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));

/* Scope-bound resources, for control plane, tools and tests: _cleanup_free_ char *p = NULL; */
void cleanup_free(void *p);
void cleanup_close(int *fd);
#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))

#endif
