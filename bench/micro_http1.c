/* How long request heads, targets and response heads take, in nanoseconds. Not a test: numbers
 * depend on the machine. Prints the best of several rounds.
 *
 *   micro_http1 */
#include <stdio.h>

#include "base/clock.h"
#include "http/http1_parser.h"
#include "http/url.h"
#include "base/poison.h"

enum { ROUNDS = 15, PER_ROUND = 100000 };

static char browser[] =
    "GET /default.htm HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en\r\n\r\n";
static char wrk[] = "GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

static volatile size_t sink;

static void parse(char *text, size_t n)
{
    static struct http1_head head;
    struct http1_limits limits = http1_limits_default();
    struct http1_parser p;

    http1_parser_init(&p, &limits);
    http1_head_reset(&head);
    INVARIANT(http1_parse(&p, text, n, &head) == RC_OK);
    sink = head.head_len;
}

static void parse_browser(void)
{
    parse(browser, sizeof(browser) - 1);
}

static void parse_wrk(void)
{
    parse(wrk, sizeof(wrk) - 1);
}

static void cook(struct str target)
{
    static char out[1024];
    struct url_limits limits = url_limits_default();
    struct url_cooked url;

    INVARIANT(url_cook(target, &limits, out, URL_COOK_CAP(target.n), &url) == RC_OK);
    sink = url.path.n;
}

static void cook_plain(void)
{
    cook(STR("/images/products/large/item-4711.jpg?v=3"));
}

static void cook_escaped(void)
{
    cook(STR("/images/../caf%C3%A9/a%20b.jpg?v=3"));
}

static void measure(const char *name, void (*fn)(void))
{
    uint64_t best = UINT64_MAX;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = clock_mono_ns();

        for (int i = 0; i < PER_ROUND; i++)
            fn();
        uint64_t took = clock_mono_ns() - start;

        if (took < best)
            best = took;
    }
    printf("%-32s %6.1f ns\n", name, (double)best / PER_ROUND);
}

int main(void)
{
    measure("head, browser", parse_browser);
    printf("  (%zu bytes)\n", sizeof(browser) - 1);
    measure("head, wrk", parse_wrk);
    measure("target, plain", cook_plain);
    measure("target, escapes and dots", cook_escaped);
    return 0;
}
