#include "base/quiescence.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/poison.h"

void quiescence_init(struct quiescence *q, unsigned n_readers)
{
    size_t bytes = n_readers * sizeof(struct quiescence_reader);

    atomic_init(&q->epoch, 1);
    q->first = NULL;
    q->last = &q->first;
    q->n_pending = 0;
    q->n_readers = n_readers;
    q->readers = aligned_alloc(_Alignof(struct quiescence_reader), bytes);
    INVARIANT(q->readers != NULL);
    for (unsigned i = 0; i < n_readers; i++)
        atomic_init(&q->readers[i].seen, 0);
}

static void release_first(struct quiescence *q)
{
    struct quiescence_item *item = q->first;

    q->first = item->next;
    if (!q->first)
        q->last = &q->first;
    q->n_pending--;
    item->release(item);
}

void quiescence_fini(struct quiescence *q)
{
    while (q->first)
        release_first(q);
    free(q->readers);
    q->readers = NULL;
}

void quiescence_retire(struct quiescence *q, struct quiescence_item *item,
                       void (*release)(struct quiescence_item *item))
{
    uint64_t epoch = atomic_load_explicit(&q->epoch, memory_order_relaxed) + 1;

    *item = (struct quiescence_item){.epoch = epoch, .release = release};
    *q->last = item;
    q->last = &item->next;
    q->n_pending++;
    /* Whoever reads this epoch also sees what the writer did before: the item is not to be
     * found. */
    atomic_store_explicit(&q->epoch, epoch, memory_order_seq_cst);
}

size_t quiescence_reclaim(struct quiescence *q)
{
    uint64_t oldest = UINT64_MAX;
    size_t n = 0;

    if (!q->first)
        return 0;
    for (unsigned i = 0; i < q->n_readers; i++) {
        uint64_t seen = atomic_load_explicit(&q->readers[i].seen, memory_order_seq_cst);
        if (seen && seen < oldest)
            oldest = seen;
    }
    for (; q->first && q->first->epoch <= oldest; n++)
        release_first(q);
    return n;
}
