/* PROXY headers: in one piece and byte by byte the result is the same, and no byte behind the
 * header is taken. */
#include "http/proxy_protocol.h"

#include "base/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_n((const char *)data, size);
    struct proxy_parser whole, single;
    struct proxy_header a = {0}, b = {0};
    size_t used, total = 0;
    enum proxy_rc rc = PROXY_MORE;

    proxy_parser_init(&whole);
    proxy_parser_init(&single);
    enum proxy_rc want = proxy_parse(&whole, bytes, &used, &a);

    INVARIANT(used <= size && used <= PROXY_HEADER_MAX);
    INVARIANT(want != PROXY_MORE || used == size);
    while (rc == PROXY_MORE && total < size) {
        size_t one;

        rc = proxy_parse(&single, str_sub(bytes, total, total + 1), &one, &b);
        INVARIANT(one == 1);
        total++;
    }
    INVARIANT(rc == want);
    if (rc != PROXY_DONE)
        return 0;
    INVARIANT(total == used);
    INVARIANT(a.has_addresses == b.has_addresses && a.source_port == b.source_port &&
              a.destination_port == b.destination_port && ip_same(&a.source, &b.source) &&
              ip_same(&a.destination, &b.destination));
    return 0;
}
