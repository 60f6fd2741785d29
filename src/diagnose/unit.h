/* Reading one unit of input: a whole file from front to back, or a stretch of a large plain one. */
#ifndef CANDOR_DIAGNOSE_UNIT_H
#define CANDOR_DIAGNOSE_UNIT_H

#include <stdatomic.h>

#include "diagnose/columns.h"
#include "diagnose/sink.h"
#include "diagnose/source.h"

enum {
    CHUNK_SIZE = 256 << 10, /* of a large file that several threads read */
    CHUNKED_FROM = 4 << 20, /* smaller files are read by one thread */
    SNIFF_SIZE = 64 << 10,  /* what recognising looks at */
    BUFFER_SLACK = 64,      /* the splitter reads past the end */
};

/* Text in UTF-8, whatever the source has. */
enum encoding { ENCODING_UTF8, ENCODING_UTF16LE, ENCODING_UTF16BE };

struct text_stream {
    struct source *source;
    enum encoding encoding;
    bool has_started;
    uint64_t bom;  /* bytes of a mark at the start */
    uint32_t high; /* the first half of a pair, 0 if none waits */
    char head[4];  /* bytes read to tell the encoding, or half a character */
    size_t head_n;
};

void text_stream_init(struct text_stream *t, struct source *s);
/* Like source_read, in UTF-8 and without byte order mark. n must be at least 64. */
size_t text_stream_read(struct text_stream *t, char *out, size_t n);

/* What a text is, by its beginning; *ret_why says what is wrong when it is LOG_UNKNOWN. is_dated:
 * its first #Fields has a date, so that stretches of it can be read apart. */
enum log_kind sniff(struct str text, bool *ret_is_dated, const char **ret_why);

/* ---- one thread's reader ---- */

struct unit_reader {
    struct sink *sink;
    enum log_kind kind;
    struct columns columns; /* kinds W3C, HTTPERR, FTP */
    uint64_t line;          /* the other kinds by line */
};

void unit_reader_init(struct unit_reader *u, struct sink *sink, enum log_kind kind);
void unit_reader_fini(struct unit_reader *u);
/* Lines of [p, end); the last ends with '\n'; BUFFER_SLACK bytes after end are readable. */
void unit_reader_lines(struct unit_reader *u, const char *p, const char *end);
/* A line too long to be read: counted, its beginning kept. */
void unit_reader_long_line(struct unit_reader *u, struct str beginning);

/* A buffer that its thread uses again and again. */
struct unit_buffer {
    char *p;
    size_t cap;
};

/* Reads the rest of t after what was sniffed (which is text's first part). Gives why it ended
 * early, or NULL; the caller frees. give_up is looked at now and then: true ends it. */
char *unit_read_stream(struct text_stream *t, struct str sniffed, enum log_kind kind,
                       struct sink *sink, struct unit_buffer *buffer,
                       bool (*give_up)(void *arg, uint64_t bytes), void *arg);

/* ---- stretches ---- */

/* What the stretches of a file tell each other: the header each one leaves in force. A stretch
 * waits for the one before to have looked, never for it to be read. */
struct chunk_head {
    _Atomic int is_known;
    char *directives; /* its last #Software, #Date and #Fields lines; NULL if it has none */
    const struct chunk_head *in_force; /* the stretch whose directives hold at its end, or NULL */
};

struct chunked_file {
    int fd;
    uint64_t size;
    enum log_kind kind;
    uint64_t bom; /* bytes to skip at the start */
    uint32_t n;
    uint32_t step;            /* only every step-th stretch is read */
    struct chunk_head *heads; /* n */
};

/* Reads stretch i. The stretches must be begun in order, by any threads. is_growing: the file is
 * longer now than size, so an unfinished last line is not yet there. NULL, or why it failed (the
 * caller frees). */
char *unit_read_chunk(const struct chunked_file *f, uint32_t i, struct sink *sink,
                      struct unit_buffer *buffer, bool (*is_growing)(void *arg), void *arg);

#endif
