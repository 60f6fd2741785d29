#include "diagnose/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/poison.h"

enum { IN_SIZE = 256 << 10, ZSTD_WINDOW_LOG_MAX = 26 };

enum packing { PACK_NONE, PACK_GZIP, PACK_ZSTD, PACK_ZIP, PACK_DEFLATE };

struct source {
    int fd;
    bool is_stdin, is_regular, is_member, at_end;
    enum packing packing;
    uint64_t size;       /* of the file when it was opened */
    uint64_t left;       /* of a regular file or member, packed, still to read */
    uint64_t got, given; /* bytes in and out */
    size_t in_at, in_n;  /* of in */
    char *in;
    z_stream z;
    bool has_z, z_is_done; /* a gzip member has ended: another may follow */
    ZSTD_DStream *zstd;
    char *problem;
};

static void set_problem(struct source *s, char *text)
{
    if (s->problem)
        free(text);
    else
        s->problem = text;
    s->at_end = true;
}

/* Refills the empty input buffer; at_end is set when nothing more comes. */
static void fill(struct source *s)
{
    size_t want = IN_SIZE;

    if (s->is_regular && s->left < want)
        want = (size_t)s->left;
    s->in_at = s->in_n = 0;
    while (want > 0) {
        ssize_t n = read(s->fd, s->in, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            set_problem(s, xasprintf("reading failed: %s", strerror(errno)));
        if (n <= 0)
            break;
        s->in_n = (size_t)n;
        s->got += (uint64_t)n;
        s->left -= s->is_regular ? (uint64_t)n : 0;
        break;
    }
    if (s->in_n == 0)
        s->at_end = true;
}

static enum packing packing_of(const char *p, size_t n)
{
    if (n >= 3 && memcmp(p, "\x1f\x8b\x08", 3) == 0)
        return PACK_GZIP;
    if (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
        return PACK_ZSTD;
    if (n >= 4 && (memcmp(p, "PK\x03\x04", 4) == 0 || memcmp(p, "PK\x05\x06", 4) == 0))
        return PACK_ZIP;
    return PACK_NONE;
}

static bool start_unpacking(struct source *s)
{
    if (s->packing == PACK_GZIP || s->packing == PACK_DEFLATE) {
        s->has_z = inflateInit2(&s->z, s->packing == PACK_GZIP ? 15 + 16 : -15) == Z_OK;
        return s->has_z;
    }
    if (s->packing == PACK_ZSTD) {
        s->zstd = ZSTD_createDStream();
        return s->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax,
                                                               ZSTD_WINDOW_LOG_MAX));
    }
    return true;
}

static struct source *open_fd(const char *path, char **ret_why)
{
    struct source *s = xcalloc(1, sizeof(*s));
    struct stat st;

    s->is_stdin = strcmp(path, "-") == 0;
    /* A named pipe waits for somebody who writes: until then it would look empty. Nothing else may
     * hold the opening up. */
    bool waits = !s->is_stdin && stat(path, &st) == 0 && S_ISFIFO(st.st_mode);

    s->fd = s->is_stdin ? STDIN_FILENO
                        : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (waits ? 0 : O_NONBLOCK));
    if (s->fd < 0 || fstat(s->fd, &st) != 0) {
        *ret_why = xasprintf("cannot be opened: %s", strerror(errno));
        return source_close(s);
    }
    if (S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode) || (S_ISCHR(st.st_mode) && !s->is_stdin)) {
        *ret_why = xstrdup("not a file that can hold a log");
        return source_close(s);
    }
    if (!s->is_stdin && !waits) {
        int flags = fcntl(s->fd, F_GETFL);
        fcntl(s->fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    s->is_regular = S_ISREG(st.st_mode);
    if (s->is_regular) {
        off_t at = s->is_stdin ? lseek(s->fd, 0, SEEK_CUR) : 0;
        s->size = (uint64_t)st.st_size;
        s->left = at > 0 && (uint64_t)at <= s->size ? s->size - (uint64_t)at : s->size;
    }
    s->in = xmalloc(IN_SIZE);
    return s;
}

struct source *source_open(const char *path, char **ret_why)
{
    struct source *s = open_fd(path, ret_why);

    if (!s)
        return NULL;
    fill(s);
    s->packing = packing_of(s->in, s->in_n);
    if (!start_unpacking(s)) {
        *ret_why = xstrdup("out of memory for decompression");
        return source_close(s);
    }
    return s;
}

struct source *source_close(struct source *s)
{
    if (!s)
        return NULL;
    if (s->fd >= 0 && !s->is_stdin)
        close(s->fd);
    if (s->has_z)
        inflateEnd(&s->z);
    ZSTD_freeDStream(s->zstd);
    free(s->in);
    free(s->problem);
    free(s);
    return NULL;
}

/* ---- reading ---- */

static size_t read_plain(struct source *s, char *out, size_t n)
{
    if (s->in_at == s->in_n)
        fill(s);
    if (s->in_n - s->in_at < n)
        n = s->in_n - s->in_at;
    memcpy(out, s->in + s->in_at, n);
    s->in_at += n;
    return n;
}

/* After the end of a gzip member another one may follow; anything else is padding. */
static bool next_member(struct source *s)
{
    if (s->packing == PACK_DEFLATE)
        return false;
    if (s->in_at == s->in_n && !s->at_end)
        fill(s);
    if (s->in_at == s->in_n || (unsigned char)s->in[s->in_at] != 0x1f)
        return false;
    s->z_is_done = false;
    return inflateReset(&s->z) == Z_OK;
}

static size_t read_zlib(struct source *s, char *out, size_t n)
{
    s->z.next_out = (Bytef *)out;
    s->z.avail_out = (uInt)n;
    while (s->z.avail_out == (uInt)n) {
        if (s->z_is_done && !next_member(s)) {
            s->at_end = true;
            break;
        }
        if (s->in_at == s->in_n && !s->at_end)
            fill(s);
        if (s->in_at == s->in_n) {
            set_problem(s, xstrdup("the compressed data is cut off: what came before was read"));
            break;
        }
        s->z.next_in = (Bytef *)s->in + s->in_at;
        s->z.avail_in = (uInt)(s->in_n - s->in_at);
        int rc = inflate(&s->z, Z_NO_FLUSH);
        s->in_at = s->in_n - s->z.avail_in;
        if (rc == Z_STREAM_END) {
            s->z_is_done = true;
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            set_problem(s,
                        xasprintf("the compressed data is damaged (%s): what came before was read",
                                  s->z.msg ? s->z.msg : "error"));
            break;
        }
    }
    return n - s->z.avail_out;
}

static size_t read_zstd(struct source *s, char *out, size_t n)
{
    ZSTD_outBuffer to = {out, n, 0};

    while (to.pos == 0) {
        if (s->in_at == s->in_n && !s->at_end)
            fill(s);
        if (s->in_at == s->in_n) {
            if (!s->z_is_done)
                set_problem(s,
                            xstrdup("the compressed data is cut off: what came before was read"));
            break;
        }
        ZSTD_inBuffer from = {s->in, s->in_n, s->in_at};
        size_t rc = ZSTD_decompressStream(s->zstd, &to, &from);
        s->in_at = from.pos;
        s->z_is_done = rc == 0;
        if (ZSTD_isError(rc)) {
            set_problem(s,
                        xasprintf("the compressed data is damaged (%s): what came before was read",
                                  ZSTD_getErrorName(rc)));
            break;
        }
    }
    return to.pos;
}

static void check_ratio(struct source *s)
{
    uint64_t in = s->got - (s->in_n - s->in_at);

    if (s->given >= SOURCE_RATIO_FROM && s->given / SOURCE_RATIO_MAX > in)
        set_problem(s, xasprintf("it expands more than %d-fold: reading stopped after %llu bytes",
                                 SOURCE_RATIO_MAX, (unsigned long long)s->given));
}

size_t source_read(struct source *s, char *out, size_t n)
{
    size_t got = 0;

    if (n > 1u << 30)
        n = 1u << 30;
    if (s->problem || (s->at_end && s->in_at == s->in_n && s->packing == PACK_NONE))
        return 0;
    switch (s->packing) {
    case PACK_NONE:
        got = read_plain(s, out, n);
        break;
    case PACK_GZIP:
    case PACK_DEFLATE:
        got = read_zlib(s, out, n);
        break;
    case PACK_ZSTD:
        got = read_zstd(s, out, n);
        break;
    case PACK_ZIP:
        break;
    }
    s->given += got;
    if (s->packing != PACK_NONE)
        check_ratio(s);
    return got;
}

const char *source_problem(const struct source *s)
{
    return s->problem;
}

int source_plain_fd(const struct source *s, uint64_t *ret_size)
{
    *ret_size = s->size;
    return s->packing == PACK_NONE && s->is_regular && !s->is_stdin && !s->is_member ? s->fd : -1;
}

bool source_has_grown(const struct source *s)
{
    struct stat st;

    return s->is_regular && !s->is_member && fstat(s->fd, &st) == 0 &&
           (uint64_t)st.st_size > s->size;
}

bool source_is_zip(const struct source *s)
{
    return s->packing == PACK_ZIP;
}

uint64_t source_consumed(const struct source *s)
{
    return s->got;
}

/* ---- zip (PKWARE's APPNOTE, 4.3) ---- */

enum {
    EOCD_SIZE = 22,
    EOCD_SEARCH = EOCD_SIZE + 65535,
    CENTRAL_SIZE = 46,
    CENTRAL_MAX = 32 << 20,
    LOCAL_SIZE = 30,
};

static uint16_t le16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] | (unsigned char)p[1] << 8);
}

static uint32_t le32(const char *p)
{
    return le16(p) | (uint32_t)le16(p + 2) << 16;
}

static uint64_t le64(const char *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static bool read_at(int fd, uint64_t at, char *out, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(fd, out + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        got += (size_t)r;
    }
    return true;
}

/* Where the central directory stands, and its size. */
static bool find_directory(int fd, uint64_t size, uint64_t *ret_at, uint64_t *ret_n)
{
    size_t n = size < EOCD_SEARCH ? (size_t)size : EOCD_SEARCH;
    _cleanup_free_ char *tail = xmalloc(n + 1);
    char wide[56];

    if (n < EOCD_SIZE || !read_at(fd, size - n, tail, n))
        return false;
    for (size_t i = n - EOCD_SIZE + 1; i-- > 0;) {
        if (memcmp(tail + i, "PK\x05\x06", 4) != 0)
            continue;
        *ret_n = le32(tail + i + 12);
        *ret_at = le32(tail + i + 16);
        if (*ret_at != UINT32_MAX && *ret_n != UINT32_MAX)
            return true;
        /* zip64: a locator right before points at the wide record. */
        if (i < 20 || memcmp(tail + i - 20, "PK\x06\x07", 4) != 0 ||
            !read_at(fd, le64(tail + i - 12), wide, sizeof(wide)) ||
            memcmp(wide, "PK\x06\x06", 4) != 0)
            return false;
        *ret_n = le64(wide + 40);
        *ret_at = le64(wide + 48);
        return true;
    }
    return false;
}

/* Sizes of 4 GB and more stand in extra field 1, in order, only those that did not fit. */
static void wide_sizes(struct zip_member *m, const char *extra, size_t n)
{
    while (n >= 4) {
        size_t len = le16(extra + 2);
        if (len > n - 4)
            return;
        if (le16(extra) == 1) {
            const char *p = extra + 4, *end = p + len;
            uint64_t *wide[] = {&m->size, &m->packed, &m->offset};
            for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
                if (*wide[i] != UINT32_MAX || end - p < 8)
                    continue;
                *wide[i] = le64(p);
                p += 8;
            }
        }
        extra += 4 + len;
        n -= 4 + len;
    }
}

/* One entry of the central directory; gives its length, 0 if it is damaged. */
static size_t directory_entry(const char *p, size_t n, struct zip_member *m)
{
    if (n < CENTRAL_SIZE || memcmp(p, "PK\x01\x02", 4) != 0)
        return 0;
    size_t name_n = le16(p + 28), extra_n = le16(p + 30), comment_n = le16(p + 32);
    size_t whole = CENTRAL_SIZE + name_n + extra_n + comment_n;

    if (whole > n)
        return 0;
    *m = (struct zip_member){.method = le16(p + 10),
                             .packed = le32(p + 20),
                             .size = le32(p + 24),
                             .offset = le32(p + 42)};
    wide_sizes(m, p + CENTRAL_SIZE + name_n, extra_n);
    m->name = str_dup_z(str_n(p + CENTRAL_SIZE, name_n));
    return whole;
}

static void free_members(struct zip_member *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i].name);
    free(list);
}

/* False, and nothing, when it is damaged. */
static bool read_directory(const char *p, size_t n, struct zip_member **ret, size_t *ret_n)
{
    struct zip_member *list = NULL, m;
    size_t count = 0, cap = 0, len;

    while (n >= CENTRAL_SIZE && count < ZIP_MEMBERS_MAX && (len = directory_entry(p, n, &m)) != 0) {
        size_t name_n = strlen(m.name);
        if (name_n == 0 || m.name[name_n - 1] == '/') {
            free(m.name);
        } else {
            list = xgrow(list, count, &cap, sizeof(*list));
            list[count++] = m;
        }
        p += len;
        n -= len;
    }
    if (n >= CENTRAL_SIZE && count < ZIP_MEMBERS_MAX) {
        free_members(list, count);
        return false;
    }
    *ret = list;
    *ret_n = count;
    return true;
}

bool zip_list(const char *path, struct zip_member **ret, size_t *ret_n, char **ret_why)
{
    struct source *s = open_fd(path, ret_why);
    uint64_t at, n;
    bool ok = false;

    *ret = NULL;
    *ret_n = 0;
    if (!s)
        return false;
    if (!s->is_regular || s->is_stdin) {
        *ret_why = xstrdup("a zip archive cannot be read from a pipe: its list is at the end");
    } else if (!find_directory(s->fd, s->size, &at, &n) || n > CENTRAL_MAX || at > s->size ||
               n > s->size - at) {
        *ret_why = xstrdup("a zip archive without a list of its members: cut off or damaged");
    } else {
        _cleanup_free_ char *directory = xmalloc((size_t)n + 1);
        ok = read_at(s->fd, at, directory, (size_t)n) &&
             read_directory(directory, (size_t)n, ret, ret_n);
        if (!ok)
            *ret_why = xstrdup("the zip archive's list of members is damaged");
    }
    source_close(s);
    return ok;
}

struct source *source_open_member(const char *path, const struct zip_member *m, char **ret_why)
{
    char head[LOCAL_SIZE];
    struct source *s = open_fd(path, ret_why);

    if (!s)
        return NULL;
    if (m->method != 0 && m->method != 8) {
        *ret_why = xasprintf("compressed by method %u, which is not read (only stored and deflate)",
                             m->method);
        return source_close(s);
    }
    uint64_t data = 0;
    bool ok = s->is_regular && m->offset < s->size &&
              read_at(s->fd, m->offset, head, sizeof(head)) && memcmp(head, "PK\x03\x04", 4) == 0;

    if (ok) {
        data = m->offset + LOCAL_SIZE + le16(head + 26) + le16(head + 28);
        ok = (le16(head + 6) & 1) == 0 && data <= s->size && m->packed <= s->size - data &&
             lseek(s->fd, (off_t)data, SEEK_SET) >= 0;
    }
    if (!ok) {
        *ret_why = xstrdup("this member of the zip archive is damaged or encrypted");
        return source_close(s);
    }
    s->left = m->packed;
    s->is_member = true;
    s->packing = m->method == 8 ? PACK_DEFLATE : PACK_NONE;
    if (!start_unpacking(s)) {
        *ret_why = xstrdup("out of memory for decompression");
        return source_close(s);
    }
    return s;
}
