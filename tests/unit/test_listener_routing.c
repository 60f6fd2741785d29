/* Where requests go: the kinds of UrlPrefix in their order, reservations, addresses and scopes, and
 * whose PROXY headers are believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "listener/generation.h"

#define _cleanup_json_ __attribute__((cleanup(free_json)))

static void free_json(json_t **j)
{
    json_decref(*j);
}

static struct pool *no_pool(void *arg, struct str name)
{
    return NULL;
}

static struct site_state *no_state(void *arg, uint32_t id)
{
    return NULL;
}

static struct log_site *no_log(void *arg, uint32_t id)
{
    return NULL;
}

static const struct generation_env env = {
    .pool = no_pool, .site_state = no_state, .log_site = no_log};

/* From "ID ADDRESS:PORT:HOST[ /app...]" per line; an address of IPv6 stands in brackets. With
 * "https " before the address the binding is one. */
static void add_site(json_t *sites, struct str line)
{
    struct str id, address, word;
    const char *protocol = "http";
    json_t *applications = json_array();
    uint64_t number;

    assert_true(str_split(&line, ' ', &id) && str_u64(id, 99, &number));
    assert_true(str_split(&line, ' ', &address));
    if (str_eq(address, STR("https"))) {
        protocol = "https";
        assert_true(str_split(&line, ' ', &address));
    }
    size_t host = str_rfind_char(address, ':'),
           port = str_rfind_char(str_sub(address, 0, host), ':');
    struct str ip = str_sub(address, 0, port);

    if (ip.p[0] == '[')
        ip = str_sub(ip, 1, ip.n - 1);
    assert_true(str_u64(str_sub(address, port + 1, host), 65535, &number));
    while (str_split(&line, ' ', &word))
        json_array_append_new(applications,
                              json_pack("{s:s%, s:s}", "path", word.p, word.n, "pool", "p"));
    if (json_array_size(applications) == 0)
        json_array_append_new(applications, json_pack("{s:s, s:s}", "path", "/", "pool", "p"));

    json_t *binding =
        json_pack("{s:s, s:s%, s:I, s:s%}", "protocol", protocol, "address", ip.p, ip.n, "port",
                  (json_int_t)number, "host", address.p + host + 1, address.n - host - 1);
    assert_true(str_u64(id, 99, &number));
    for (size_t i = 0; i < json_array_size(sites); i++) {
        json_t *s = json_array_get(sites, i);
        if (json_integer_value(json_object_get(s, "id")) == (json_int_t)number) {
            json_array_append_new(json_object_get(s, "bindings"), binding);
            json_decref(applications);
            return;
        }
    }
    json_array_append_new(sites,
                          json_pack("{s:I, s:s, s:[o], s:o}", "id", (json_int_t)number, "name", "s",
                                    "bindings", binding, "applications", applications));
}

/* "SCHEME HOST PORT PATH" per line. */
static void add_reservation(json_t *list, struct str line)
{
    struct str scheme, host, port;
    uint64_t number;

    assert_true(str_split(&line, ' ', &scheme) && str_split(&line, ' ', &host) &&
                str_split(&line, ' ', &port) && str_u64(port, 65535, &number));
    json_array_append_new(list, json_pack("{s:s%, s:s%, s:I, s:s%}", "scheme", scheme.p, scheme.n,
                                          "host", host.p, host.n, "port", (json_int_t)number,
                                          "path", line.p, line.n));
}

static struct generation *load(const char *sites, const char *reservations, const char **ret_why)
{
    json_t *site_list = json_array(), *reserved = json_array();
    struct str rest = str_z(sites), line;

    while (str_split(&rest, '\n', &line))
        add_site(site_list, line);
    rest = str_z(reservations);
    while (str_split(&rest, '\n', &line))
        add_reservation(reserved, line);
    _cleanup_json_ json_t *msg =
        json_pack("{s:o, s:o}", "sites", site_list, "reservations", reserved);

    return generation_load(msg, &env, ret_why);
}

static struct msg_address address(const char *text)
{
    struct msg_address ret = {0};
    struct ip_address a;

    assert_true(ip_parse(str_z(text), &a));
    memcpy(ret.ip, a.bytes, sizeof(ret.ip));
    ret.scope = a.scope;
    ret.is_v4 = a.is_v4;
    return ret;
}

struct request {
    const char *to, *host, *path;
    int want; /* a site's id, or one of these */
    const char *app;
};
enum { RESERVED = -1, NO_HOST = -2, NO_PATH = -3 };

static void check(const struct generation *g, uint16_t port, const struct request *r)
{
    struct msg_address local = address(r->to);
    struct route to = {0};
    int got = 0;

    switch (generation_route(g, port, &local, str_z(r->host), str_z(r->path), &to)) {
    case ROUTE_FOUND:
        got = (int)to.site->id;
        break;
    case ROUTE_RESERVED:
        got = RESERVED;
        break;
    case ROUTE_NO_HOST:
        got = NO_HOST;
        break;
    case ROUTE_NO_PATH:
        got = NO_PATH;
        break;
    }
    if (got != r->want)
        fail_msg("%s at %s%s: %d", r->host, r->to, r->path, got);
    if (r->app && !str_eq(to.app->path, str_z(r->app)))
        fail_msg("%s at %s%s: application %.*s", r->host, r->to, r->path, STR_ARG(to.app->path));
}

static void check_all(const char *sites, const char *reservations, const struct request *list,
                      size_t n)
{
    const char *why;
    struct generation *g = load(sites, reservations, &why);

    assert_non_null(g);
    for (size_t i = 0; i < n; i++)
        check(g, 80, &list[i]);
    generation_unref(g);
}
#define CHECK(sites, reservations, list) check_all(sites, reservations, list, ARRAY_LEN(list))

static void kinds_in_their_order(void **state)
{
    static const struct request list[] = {
        {"10.0.0.1", "a.test", "/", 1, NULL}, /* address and host */
        {"10.0.0.2", "a.test", "/", 2, NULL}, /* host */
        {"10.0.0.2", "A.TEST", "/x", 2, NULL},
        {"10.0.0.2", "b.a.test", "/", 3, NULL}, /* wildcard */
        {"10.0.0.1", "b.a.test", "/", 3, NULL},
        {"10.0.0.1", "other.test", "/", 4, NULL}, /* address */
        {"10.0.0.1", "", "/", 4, NULL},
        {"10.0.0.2", "other.test", "/", 5, NULL}, /* anything */
        {"10.0.0.2", "", "/", 5, NULL},
        {"2001:db8::1", "a.test", "/", 2, NULL},
    };

    (void)state;
    /* In the order that says least. */
    CHECK("5 *:80:\n4 10.0.0.1:80:\n3 *:80:*.a.test\n2 *:80:a.test\n1 10.0.0.1:80:a.test", "",
          list);
    CHECK("1 10.0.0.1:80:a.test\n2 *:80:a.test\n3 *:80:*.a.test\n4 10.0.0.1:80:\n5 *:80:", "",
          list);
}

static void host_wildcards(void **state)
{
    static const struct request list[] = {
        {"10.0.0.1", "x.test", "/", 1, NULL},
        {"10.0.0.1", "x.y.test", "/", 2, NULL}, /* the longest suffix */
        {"10.0.0.1", "a.b.y.test", "/", 2, NULL},
        {"10.0.0.9", "x.y.test", "/", 3, NULL},   /* with an address before one without */
        {"10.0.0.1", "z.y.test", "/", 4, NULL},   /* the exact name before any */
        {"10.0.0.1", "test", "/", NO_HOST, NULL}, /* not the parent itself */
        {"10.0.0.1", "y.test", "/", 1, NULL},
        {"10.0.0.1", "xtest", "/", NO_HOST, NULL},
        {"10.0.0.1", "", "/", NO_HOST, NULL},
    };

    (void)state;
    CHECK("1 *:80:*.test\n2 *:80:*.y.test\n3 10.0.0.9:80:*.y.test\n4 *:80:z.y.test", "", list);
}

static void strong_wildcards(void **state)
{
    static const struct request list[] = {
        {"10.0.0.1", "a.test", "/", 1, NULL},
        {"10.0.0.1", "a.test", "/up/x", 2, "/up"},
        {"10.0.0.1", "", "/UP", 2, "/up"},
        {"10.0.0.1", "other.test", "/upper", NO_PATH, NULL},
    };

    (void)state;
    CHECK("1 *:80:a.test\n2 +:80: /up", "", list);
}

/* Only within the first kind that has a fitting prefix the longest counts. */
static void paths(void **state)
{
    static const struct request list[] = {
        {"10.0.0.1", "a.test", "/app/x", 1, "/app"},
        {"10.0.0.1", "a.test", "/app", 1, "/app"},
        {"10.0.0.1", "a.test", "/APP/deep/x", 1, "/app/deep"},
        {"10.0.0.1", "a.test", "/app/deeper", 1, "/app"},
        {"10.0.0.1", "a.test", "/apple", 2, "/"}, /* no prefix of the host: the next kind */
        {"10.0.0.1", "a.test", "/", 2, "/"},
        {"10.0.0.1", "b.test", "/app/x", 2, "/"}, /* a shorter one of another kind does not lose */
        {"10.0.0.1", "b.test", "/long/er", 2, "/long"},
    };
    static const struct request alone[] = {
        {"10.0.0.1", "a.test", "/app", 1, "/app"},
        {"10.0.0.1", "a.test", "/", NO_PATH, NULL},
        {"10.0.0.1", "b.test", "/", NO_HOST, NULL},
        {"10.0.0.1", "b.test", "/app", NO_HOST, NULL},
    };

    (void)state;
    CHECK("1 *:80:a.test /app /app/deep\n2 *:80: /long /", "", list);
    CHECK("1 *:80:a.test /app", "", alone);
}

static void reservations_answer_503(void **state)
{
    static const struct request list[] = {
        {"10.0.0.1", "a.test", "/kept", RESERVED, NULL},
        {"10.0.0.1", "a.test", "/KEPT/x", RESERVED, NULL},
        {"10.0.0.1", "a.test", "/keptx", 1, NULL},
        {"10.0.0.9", "a.test", "/kept", RESERVED, NULL}, /* the name tied to an address, too */
        {"10.0.0.9", "a.test", "/keptx", 3, NULL},
        {"10.0.0.1", "b.test", "/kept/x", 2, NULL}, /* another host's */
        {"10.0.0.1", "b.test", "/weak/x", RESERVED, NULL},
        {"10.0.0.1", "a.test", "/weak/x", 1, NULL}, /* its own kind comes first */
        {"10.0.0.1", "a.test", "/strong/x", RESERVED, NULL},
        {"10.0.0.1", "b.test", "/strong/x", RESERVED, NULL},
        {"10.0.0.1", "a.test", "/app/in", 1, "/app/in"}, /* a longer application */
        {"10.0.0.1", "a.test", "/app/x", RESERVED, NULL},
        {"10.0.0.1", "a.test", "/same/x", 1, "/same"}, /* registered as well */
        {"10.0.0.7", "c.test", "/ip", RESERVED, NULL},
        {"10.0.0.1", "c.test", "/ip", 2, NULL},
        {"10.0.0.1", "c.test", "/tls/x", 2, NULL},  /* of the other scheme */
        {"10.0.0.1", "c.test", "/else/x", 2, NULL}, /* of another port */
        {"10.0.0.1", "d.test", "/only/x", RESERVED, NULL},
        {"10.0.0.1", "d.test", "/", 2, NULL}, /* nothing of the name's own: the next kind */
    };
    static const struct request bare[] = {
        {"10.0.0.1", "b.test", "/kept/x", RESERVED, NULL},
        {"10.0.0.1", "b.test", "/", NO_HOST, NULL}, /* a reservation is no registration */
        {"10.0.0.1", "a.test", "/", 1, NULL},
    };

    (void)state;
    CHECK("1 *:80:a.test / /app/in /same\n2 *:80:\n3 10.0.0.9:80:a.test",
          "http a.test 80 /kept/\nhttp * 80 /weak/\nhttp + 80 /strong/\nhttp a.test 80 /app/\n"
          "http a.test 80 /same/\nhttp 10.0.0.7 80 /ip/\nhttps * 80 /tls/\nhttp * 81 /else/\n"
          "http d.test 80 /only/",
          list);
    CHECK("1 *:80:a.test", "http + 80 /kept/", bare);
}

static void addresses_and_scopes(void **state)
{
    static const struct request list[] = {
        {"fe80::1%2", "", "/", 1, NULL},   {"fe80::1%3", "", "/", 2, NULL},
        {"fe80::1%4", "", "/", 6, NULL},   {"fe80::2%4", "", "/", 3, NULL},
        {"2001:db8::1", "", "/", 4, NULL}, {"127.0.0.1", "", "/", 5, NULL},
        {"127.0.0.2", "", "/", 6, NULL},   {"::1", "", "/", 6, NULL},
    };

    (void)state;
    CHECK("1 [fe80::1%2]:80:\n2 [fe80::1%3]:80:\n3 [fe80::2]:80:\n4 [2001:db8::1]:80:\n"
          "5 127.0.0.1:80:\n6 *:80:",
          "", list);
}

/* 0.0.0.0 and :: stand for their family: behind its addresses, before "*". */
static void all_addresses_of_a_family(void **state)
{
    static const struct request list[] = {
        {"10.0.0.1", "x", "/", 1, NULL},    {"10.0.0.9", "x", "/", 3, NULL},
        {"2001:db8::1", "x", "/", 2, NULL}, {"10.0.0.1", "a.test", "/", 5, NULL},
        {"::1", "a.test", "/", 6, NULL},
    };
    static const struct request v4_only[] = {
        {"10.0.0.1", "x", "/", 1, NULL},
        {"::1", "x", "/", 4, NULL},
    };

    (void)state;
    CHECK("1 0.0.0.0:80:\n2 [::]:80:\n3 10.0.0.9:80:\n4 *:80:\n5 0.0.0.0:80:a.test\n6 *:80:a.test",
          "", list);
    CHECK("4 *:80:\n1 0.0.0.0:80:", "", v4_only);
}

static void ports_and_schemes(void **state)
{
    static const struct request one = {"10.0.0.1", "a.test", "/", 1, NULL};
    static const struct request two = {"10.0.0.1", "a.test", "/", 2, NULL};
    static const struct request none = {"10.0.0.1", "a.test", "/", NO_HOST, NULL};
    const char *why;
    struct generation *g = load("1 *:80:\n2 https *:443:a.test", "", &why);

    (void)state;
    assert_non_null(g);
    check(g, 80, &one);
    check(g, 443, &two);
    check(g, 81, &none);
    generation_unref(g);

    assert_null(load("1 *:443:\n2 https 10.0.0.1:443:", "", &why));
    assert_string_equal(why, "a port is both http and https");
    assert_null(load("1 1.2.3:80:", "", &why));
    assert_string_equal(why, "a binding has an address that is none");
    assert_null(load("1 *:0:", "", &why));
    assert_string_equal(why, "a binding has no usable port");
}

static void many_hosts(void **state)
{
    enum { N = 3000 };
    json_t *sites = json_array();
    const char *why;

    (void)state;
    for (int i = 1; i <= N; i++) {
        char host[32];
        snprintf(host, sizeof(host), "h%d.test", i);
        json_array_append_new(sites, json_pack("{s:i, s:[{s:s, s:i, s:s}], s:[{s:s, s:s}]}", "id",
                                               i, "bindings", "address", "*", "port", 80, "host",
                                               host, "applications", "path", "/", "pool", "p"));
    }
    _cleanup_json_ json_t *msg = json_pack("{s:o}", "sites", sites);
    struct generation *g = generation_load(msg, &env, &why);

    assert_non_null(g);
    for (int i = 1; i <= N; i++) {
        char host[32];
        snprintf(host, sizeof(host), "h%d.test", i);
        check(g, 80, &(struct request){"10.0.0.1", host, "/", i, NULL});
    }
    generation_unref(g);
}

static json_t *proxied(const char *ip, const char *mode, const char *trusted)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:s}", "address", ip, "port", 80, "host", "",
                     "proxyProtocol", mode, "proxyTrusted", trusted);
}

static bool trusts(const struct generation *g, const char *to, const char *from)
{
    struct msg_address local = address(to), peer = address(from);
    const struct proxy_policy *p = generation_proxy_policy(g, 80, &local);

    assert_non_null(p);
    return proxy_policy_trusts(p, &peer);
}

static void whose_proxy_headers_count(void **state)
{
    const char *why;
    _cleanup_json_ json_t *msg =
        json_pack("{s:[{s:i, s:[o, o], s:[]}, {s:i, s:[o, o], s:[]}]}", "sites", "id", 1,
                  "bindings", proxied("10.0.0.1", "v1v2", "192.0.2.0/24, 127.0.0.1"),
                  proxied("10.0.0.2", "none", "192.0.2.1"), "applications", "id", 2, "bindings",
                  proxied("10.0.0.1", "v1v2", "2001:db8::/32"), proxied("10.0.0.3", "v1v2", ""),
                  "applications");
    struct generation *g = generation_load(msg, &env, &why);
    struct msg_address without = address("10.0.0.2"), with = address("10.0.0.1");

    (void)state;
    assert_non_null(g);
    assert_null(generation_proxy_policy(g, 80, &without));
    assert_null(generation_proxy_policy(g, 81, &with));
    assert_true(trusts(g, "10.0.0.1", "192.0.2.77"));
    assert_true(trusts(g, "10.0.0.1", "127.0.0.1"));
    assert_true(trusts(g, "10.0.0.1", "2001:db8::5"));
    assert_false(trusts(g, "10.0.0.1", "192.0.3.1"));
    assert_false(trusts(g, "10.0.0.1", "127.0.0.2"));
    assert_false(trusts(g, "10.0.0.3", "127.0.0.1"));
    generation_unref(g);

    /* All addresses of the port, but an address of its own decides for itself. */
    _cleanup_json_ json_t *all =
        json_pack("{s:[{s:i, s:[o, o], s:[]}]}", "sites", "id", 1, "bindings",
                  proxied("*", "v1v2", "127.0.0.1"), proxied("10.0.0.9", "v1v2", "192.0.2.1"),
                  "applications");
    g = generation_load(all, &env, &why);
    assert_non_null(g);
    assert_true(trusts(g, "10.0.0.1", "127.0.0.1"));
    assert_true(trusts(g, "10.0.0.9", "192.0.2.1"));
    assert_false(trusts(g, "10.0.0.9", "127.0.0.1"));
    generation_unref(g);

    /* A family's, between the two. */
    _cleanup_json_ json_t *family =
        json_pack("{s:[{s:i, s:[o, o, o], s:[]}]}", "sites", "id", 1, "bindings",
                  proxied("*", "v1v2", "127.0.0.1"), proxied("0.0.0.0", "v1v2", "192.0.2.1"),
                  proxied("10.0.0.9", "v1v2", "192.0.2.2"), "applications");
    g = generation_load(family, &env, &why);
    assert_non_null(g);
    assert_true(trusts(g, "10.0.0.1", "192.0.2.1"));
    assert_true(trusts(g, "::1", "127.0.0.1"));
    assert_true(trusts(g, "10.0.0.9", "192.0.2.2"));
    assert_false(trusts(g, "10.0.0.1", "127.0.0.1"));
    generation_unref(g);

    _cleanup_json_ json_t *bad = json_pack("{s:[{s:i, s:[o], s:[]}]}", "sites", "id", 1, "bindings",
                                           proxied("*", "v1v2", "127.0.0"), "applications");
    assert_null(generation_load(bad, &env, &why));
    assert_string_equal(why, "a binding trusts an address that is none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_in_their_order),
        cmocka_unit_test(host_wildcards),
        cmocka_unit_test(strong_wildcards),
        cmocka_unit_test(paths),
        cmocka_unit_test(reservations_answer_503),
        cmocka_unit_test(addresses_and_scopes),
        cmocka_unit_test(all_addresses_of_a_family),
        cmocka_unit_test(ports_and_schemes),
        cmocka_unit_test(many_hosts),
        cmocka_unit_test(whose_proxy_headers_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
