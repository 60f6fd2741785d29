#include "http/response1.h"

#include "base/poison.h"

size_t response1_chunk_head(char out[RESPONSE1_CHUNK_HEAD_MAX], uint64_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    int shift = 60;

    while (shift > 0 && (n >> shift & 15) == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        out[len++] = hex[n >> shift & 15];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}
