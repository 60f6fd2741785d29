/* Memory for nghttp2. A request costs it a dozen small allocations that live as long as the stream;
 * here each is a step on a list of its size, in a thread that never gives any to another. */
#include <stdlib.h>

#include "base/alloc.h"
#include "listener/http2.h"
#include "base/poison.h"

enum {
    STEP = 32,              /* sizes differ by so much */
    CLASSES = 32,           /* what is larger comes from the heap */
    KEPT_MAX = 1024 * 1024, /* so much is kept for the next streams */
};

/* In front of each piece. */
struct piece {
    _Alignas(16) struct piece *next; /* while it is free */
    size_t size;                     /* without this head; of its class, or as asked for */
};

struct http2_memory {
    struct piece *free[CLASSES];
    size_t kept;
    nghttp2_mem calls;
};

static unsigned class_of(size_t n)
{
    return (unsigned)((n + STEP - 1) / STEP) - 1;
}

static void *take(size_t n, void *arg)
{
    struct http2_memory *m = arg;
    unsigned class = class_of(n ? n : 1);
    struct piece *p = class < CLASSES ? m->free[class] : NULL;

    if (LIKELY(p != NULL)) {
        m->free[class] = p->next;
        m->kept -= p->size;
        return p + 1;
    }
    if (n > SIZE_MAX / 2)
        return NULL;
    size_t size = class < CLASSES ? (size_t)(class + 1) * STEP : n;

    p = malloc(sizeof(*p) + size);
    if (!p)
        return NULL;
    p->size = size;
    return p + 1;
}

static void give(void *at, void *arg)
{
    struct http2_memory *m = arg;
    struct piece *p = at;

    if (!p)
        return;
    p--;
    unsigned class = class_of(p->size);

    if (UNLIKELY(class >= CLASSES || m->kept + p->size > KEPT_MAX)) {
        free(p);
        return;
    }
    m->kept += p->size;
    p->next = m->free[class];
    m->free[class] = p;
}

static void *take_zeroed(size_t count, size_t size, void *arg)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    void *p = take(n, arg);

    return p ? memset(p, 0, n) : NULL;
}

static void *resize(void *at, size_t n, void *arg)
{
    if (!at)
        return take(n, arg);
    size_t had = ((struct piece *)at - 1)->size;

    if (n <= had)
        return at;
    void *p = take(n, arg);

    if (!p)
        return NULL;
    memcpy(p, at, had);
    give(at, arg);
    return p;
}

nghttp2_mem *http2_memory_new(void)
{
    struct http2_memory *m = ALLOC_IS_WATCHED ? NULL : calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->calls = (nghttp2_mem){
        .mem_user_data = m, .malloc = take, .free = give, .calloc = take_zeroed, .realloc = resize};
    return &m->calls;
}

void http2_memory_free(nghttp2_mem *calls)
{
    struct http2_memory *m = calls ? calls->mem_user_data : NULL;

    if (!m)
        return;
    for (unsigned i = 0; i < CLASSES; i++)
        while (m->free[i]) {
            struct piece *p = m->free[i];
            m->free[i] = p->next;
            free(p);
        }
    free(m);
}
