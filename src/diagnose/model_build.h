/* From tallies to the model. */
#ifndef CANDOR_DIAGNOSE_MODEL_BUILD_H
#define CANDOR_DIAGNOSE_MODEL_BUILD_H

#include "base/arena.h"
#include "diagnose/files.h"
#include "diagnose/tally.h"

/* Everything is copied into the arena; top limits the lists. */
struct model *model_build(const struct tally *t, const struct file_list *files, uint32_t top,
                          struct arena *arena);

#endif
