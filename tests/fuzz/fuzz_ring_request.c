/* What a hostile listener (or a bug in ours) could put on a worker's request ring: the ring's own
 * bookkeeping and the request message's offsets. Every view of an accepted message must be
 * readable. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue/message.h"
#include "queue/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static volatile unsigned sink;

static void touch(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        sink += (unsigned char)s.p[i];
}

static void decode(const void *data, size_t n)
{
    struct request_message m;
    void *copy = aligned_alloc(16, (n + 16) & ~(size_t)15); /* exact enough for ASan's red zones */

    memcpy(copy, data, n);
    if (message_decode_request(copy, n, &m)) {
        touch(m.method);
        touch(m.raw_target);
        touch(m.path);
        touch(m.query);
        touch(m.host);
        touch(m.tls_cipher);
        touch(m.tls_server_name);
        touch(m.client_cert);
        for (size_t i = 0; i < m.head.n_fields; i++) {
            touch(str_n(m.bytes + m.fields[i].name_off, m.fields[i].name_len));
            touch(str_n(m.bytes + m.fields[i].value_off, m.fields[i].value_len));
        }
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum { SIZE = 4096 };
    struct ring r;
    struct ring_record rec;

    decode(data, n);
    if (n < 8)
        return 0;
    void *mem = aligned_alloc(64, ring_bytes(SIZE));

    memset(mem, 0, ring_bytes(SIZE));
    ring_attach(&r, mem, SIZE, -1, -1);
    memcpy(r.data, data + 8, n - 8 < SIZE ? n - 8 : SIZE);
    uint64_t tail;

    memcpy(&tail, data, 8);
    atomic_store(&r.shared->tail, tail % (2 * SIZE));
    for (int i = 0; i < 1000 && ring_peek(&r, &rec) == RC_OK; i++) {
        decode(rec.payload, rec.len);
        ring_pop(&r, &rec);
    }
    free(mem);
    return 0;
}
