/* Chunk framing of HTTP/1.1 responses (RFC 9112 7.1). */
#ifndef CANDOR_HTTP_RESPONSE1_H
#define CANDOR_HTTP_RESPONSE1_H

#include <stddef.h>
#include <stdint.h>

enum { RESPONSE1_CHUNK_HEAD_MAX = 18 };
/* "<hex>\r\n" before n (> 0) bytes of data; gives its length. After the data comes "\r\n". */
size_t response1_chunk_head(char out[RESPONSE1_CHUNK_HEAD_MAX], uint64_t n);

#endif
