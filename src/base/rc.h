/* Internal results. An HTTP failure is something else: it names a row of the status catalogue. */
#ifndef CANDOR_BASE_RC_H
#define CANDOR_BASE_RC_H

enum rc {
    RC_OK = 0,    /* done */
    RC_AGAIN,     /* more input or room is needed; call again */
    RC_DECLINED,  /* not mine, nothing done */
    RC_FAIL,      /* failed; the out-parameters say why */
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* Ends the process with a message. For promises of our own code only, never for anything that
 * a client, a worker or a file can cause. Stays on in production. */
#define INVARIANT(x) ((x) ? (void)0 : invariant_failed(#x, __FILE__, __LINE__))
_Noreturn void invariant_failed(const char *what, const char *file, int line);

#endif
