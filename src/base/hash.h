/* A keyed hash for tables whose keys come from clients. The key is random per process. */
#ifndef CANDOR_BASE_HASH_H
#define CANDOR_BASE_HASH_H

#include "base/str.h"

/* Draws the process's key; call once at start. Without it a fixed key is used (tests). */
void hash_seed(void);
uint64_t hash_bytes(const void *p, size_t n);
/* The same for names that differ in ASCII letter case only. */
uint64_t hash_ibytes(const void *p, size_t n);

#endif
