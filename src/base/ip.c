#include "base/ip.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

#include "base/poison.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool copy_z(struct str s, char *out, size_t room)
{
    if (s.n == 0 || s.n >= room || str_find_char(s, '\0') != SIZE_MAX)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static bool parse_zone(struct str zone, uint32_t *ret)
{
    char name[IF_NAMESIZE];
    uint64_t n;

    if (str_u64(zone, UINT32_MAX, &n)) {
        *ret = (uint32_t)n;
        return true;
    }
    if (!copy_z(zone, name, sizeof(name)))
        return false;
    *ret = if_nametoindex(name);
    return *ret != 0;
}

static bool parse_v6(struct str s, struct ip_address *ret)
{
    struct ip_address a = {0};
    char z[INET6_ADDRSTRLEN];
    size_t percent;

    if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = str_sub(s, 1, s.n - 1);
    percent = str_find_char(s, '%');
    if (percent != SIZE_MAX && !parse_zone(str_sub(s, percent + 1, s.n), &a.scope))
        return false;
    if (!copy_z(str_sub(s, 0, percent), z, sizeof(z)) || inet_pton(AF_INET6, z, a.bytes) != 1)
        return false;
    a.is_v4 = memcmp(a.bytes, mapped, sizeof(mapped)) == 0;
    *ret = a;
    return true;
}

bool ip_parse(struct str s, struct ip_address *ret)
{
    struct ip_address a = {.is_v4 = true};
    char z[INET_ADDRSTRLEN];

    if (str_find_char(s, ':') != SIZE_MAX)
        return parse_v6(s, ret);
    memcpy(a.bytes, mapped, sizeof(mapped));
    if (!copy_z(s, z, sizeof(z)) || inet_pton(AF_INET, z, a.bytes + sizeof(mapped)) != 1)
        return false;
    *ret = a;
    return true;
}

bool ip_range_parse(struct str s, struct ip_range *ret)
{
    size_t slash = str_find_char(s, '/');
    struct ip_address a;
    uint64_t bits;

    if (!ip_parse(str_sub(s, 0, slash), &a) || a.scope)
        return false;
    uint64_t most = a.is_v4 ? 32 : 128;

    if (slash == SIZE_MAX)
        bits = most;
    else if (!str_u64(str_sub(s, slash + 1, s.n), most, &bits))
        return false;
    memcpy(ret->bytes, a.bytes, sizeof(ret->bytes));
    ret->bits = (uint8_t)(bits + 128 - most);
    return true;
}

bool ip_range_has(const struct ip_range *range, const uint8_t bytes[16])
{
    size_t whole = range->bits / 8, rest = range->bits % 8;

    if (memcmp(range->bytes, bytes, whole) != 0)
        return false;
    return rest == 0 || (range->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0;
}

bool ip_same(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0 &&
           (a->scope == b->scope || a->scope == 0 || b->scope == 0);
}

bool ip_is_any(const struct ip_address *a)
{
    static const uint8_t zero[16];

    return memcmp(a->bytes + (a->is_v4 ? 12 : 0), zero, a->is_v4 ? 4 : 16) == 0;
}

size_t ip_format(const struct ip_address *a, char out[IP_TEXT_MAX])
{
    const void *bytes = a->is_v4 ? a->bytes + sizeof(mapped) : a->bytes;
    size_t n;

    INVARIANT(inet_ntop(a->is_v4 ? AF_INET : AF_INET6, bytes, out, IP_TEXT_MAX));
    n = strlen(out);
    if (a->scope)
        n += (size_t)snprintf(out + n, IP_TEXT_MAX - n, "%%%u", a->scope);
    return n;
}
