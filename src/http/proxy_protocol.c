#include "http/proxy_protocol.h"

#include "base/poison.h"

static const char v1_start[] = "PROXY ";
static const uint8_t signature[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                      0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

enum {
    V2_HEAD = 16, /* signature, version and command, family, length */
    V2_INET = 12,
    V2_INET6 = 36,
};

void proxy_parser_init(struct proxy_parser *p)
{
    p->version = 0;
    p->n = 0;
    p->skip = 0;
}

bool proxy_parser_has_begun(const struct proxy_parser *p)
{
    return p->n >= (p->version == 1 ? sizeof(v1_start) - 1 : sizeof(signature));
}

/* ---- version 1: "PROXY TCP4 1.2.3.4 5.6.7.8 1234 80\r\n" ---- */

static bool take_address(struct str *rest, bool is_v6, struct ip_address *ret)
{
    struct str word;

    if (!str_split(rest, ' ', &word) || str_find_char(word, '%') != SIZE_MAX ||
        str_find_char(word, '[') != SIZE_MAX)
        return false;
    return is_v6 == (str_find_char(word, ':') != SIZE_MAX) && ip_parse(word, ret);
}

static bool take_port(struct str word, uint16_t *ret)
{
    uint64_t port;

    if (!str_u64(word, 65535, &port) || (word.n > 1 && word.p[0] == '0'))
        return false;
    *ret = (uint16_t)port;
    return true;
}

static enum proxy_rc read_line(struct str line, struct proxy_header *ret)
{
    struct str protocol, port;
    bool is_v6;

    *ret = (struct proxy_header){0};
    line = str_sub(line, sizeof(v1_start) - 1, line.n);
    if (str_eq(line, STR("UNKNOWN")) || str_starts(line, STR("UNKNOWN ")))
        return PROXY_DONE; /* whatever follows does not count */
    if (!str_split(&line, ' ', &protocol))
        return PROXY_BAD;
    is_v6 = str_eq(protocol, STR("TCP6"));
    if (!is_v6 && !str_eq(protocol, STR("TCP4")))
        return PROXY_BAD;
    if (!take_address(&line, is_v6, &ret->source) ||
        !take_address(&line, is_v6, &ret->destination) || !str_split(&line, ' ', &port) ||
        !take_port(port, &ret->source_port) || !take_port(line, &ret->destination_port))
        return PROXY_BAD;
    ret->has_addresses = true;
    return PROXY_DONE;
}

static enum proxy_rc take_v1(struct proxy_parser *p, uint8_t byte, struct proxy_header *ret)
{
    if (p->n == PROXY_V1_MAX)
        return PROXY_BAD;
    if (p->n < sizeof(v1_start) - 1 && byte != (uint8_t)v1_start[p->n])
        return PROXY_BAD;
    p->kept[p->n++] = byte;
    if (byte == '\0')
        return PROXY_BAD;
    if (p->n > 1 && p->kept[p->n - 2] == '\r')
        return byte == '\n' ? read_line(str_n((const char *)p->kept, p->n - 2u), ret) : PROXY_BAD;
    return byte == '\n' ? PROXY_BAD : PROXY_MORE;
}

/* ---- version 2 ---- */

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* What the fixed part says of the addresses. */
struct v2_kind {
    bool is_bad;
    uint8_t keep; /* bytes of addresses that count; 0: none do */
};

static struct v2_kind v2_kind_of(const uint8_t *head)
{
    static const uint16_t least[] = {0, V2_INET, V2_INET6, 216};
    unsigned version = head[12] >> 4, command = head[12] & 15;
    unsigned family = head[13] >> 4, protocol = head[13] & 15;

    if (version != 2 || command > 1)
        return (struct v2_kind){.is_bad = true};
    if (command == 0) /* LOCAL: the rest is to be passed over, whatever it is */
        return (struct v2_kind){0};
    if (family >= ARRAY_LEN(least) || protocol > 2 || be16(head + 14) < least[family])
        return (struct v2_kind){.is_bad = true};
    if (protocol != 1 || family == 0 || family == 3)
        return (struct v2_kind){0};
    return (struct v2_kind){.keep = (uint8_t)least[family]};
}

static void set_v4(struct ip_address *a, const uint8_t *bytes)
{
    *a = (struct ip_address){.bytes = {[10] = 0xff, [11] = 0xff}, .is_v4 = true};
    memcpy(a->bytes + 12, bytes, 4);
}

static void set_v6(struct ip_address *a, const uint8_t *bytes)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    *a = (struct ip_address){.is_v4 = memcmp(bytes, mapped, sizeof(mapped)) == 0};
    memcpy(a->bytes, bytes, 16);
}

static void read_addresses(const uint8_t *at, uint8_t n, struct proxy_header *ret)
{
    *ret = (struct proxy_header){.has_addresses = n > 0};
    if (n == 0)
        return;
    if (n == V2_INET) {
        set_v4(&ret->source, at);
        set_v4(&ret->destination, at + 4);
    } else {
        set_v6(&ret->source, at);
        set_v6(&ret->destination, at + 16);
    }
    ret->source_port = be16(at + n - 4);
    ret->destination_port = be16(at + n - 2);
}

static enum proxy_rc take_v2(struct proxy_parser *p, uint8_t byte, struct proxy_header *ret)
{
    if (p->n < sizeof(signature) && byte != signature[p->n])
        return PROXY_BAD;
    p->kept[p->n++] = byte;
    if (p->n < V2_HEAD)
        return PROXY_MORE;

    struct v2_kind kind = v2_kind_of(p->kept);

    if (kind.is_bad)
        return PROXY_BAD;
    if (p->n < V2_HEAD + kind.keep)
        return PROXY_MORE;
    p->skip = be16(p->kept + 14) - kind.keep;
    read_addresses(p->kept + V2_HEAD, kind.keep, ret);
    return p->skip ? PROXY_MORE : PROXY_DONE;
}

/* Past what does not count; the addresses are read once more at the end, from what was kept. */
static enum proxy_rc pass_over(struct proxy_parser *p, struct str bytes, size_t *used,
                               struct proxy_header *ret)
{
    size_t n = bytes.n - *used;

    if (n > p->skip)
        n = p->skip;
    *used += n;
    p->skip -= (uint32_t)n;
    if (p->skip)
        return PROXY_MORE;
    read_addresses(p->kept + V2_HEAD, (uint8_t)(p->n - V2_HEAD), ret);
    return PROXY_DONE;
}

enum proxy_rc proxy_parse(struct proxy_parser *p, struct str bytes, size_t *ret_used,
                          struct proxy_header *ret)
{
    struct proxy_header header;
    enum proxy_rc rc = PROXY_MORE;

    *ret_used = 0;
    while (rc == PROXY_MORE && *ret_used < bytes.n) {
        if (p->skip) {
            rc = pass_over(p, bytes, ret_used, &header);
            continue;
        }
        uint8_t byte = (uint8_t)bytes.p[(*ret_used)++];
        if (p->version == 0)
            p->version = byte == signature[0] ? 2 : 1;
        rc = p->version == 1 ? take_v1(p, byte, &header) : take_v2(p, byte, &header);
    }
    if (rc == PROXY_DONE)
        *ret = header;
    return rc;
}
