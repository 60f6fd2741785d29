/* Writes a realistic log to standard output, as large as asked for and the same for the same seed:
 *     diagnose_gen w3c|httperr BYTES [SEED]
 * W3C: the default fields of IIS 8 and later, CRLF, a header block now and then, 20,000 clients,
 * 5,000 URLs of skewed popularity, seven agents, most answers 200. HTTPERR: the 14 columns of 2016.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS = 20000, STEMS = 5000, BLOCK_EVERY = 500000 };

static uint64_t state = 88172645463325252u;

static uint32_t draw(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 16) % n);
}

/* Small numbers more often than large ones. */
static uint32_t skewed(uint32_t n)
{
    uint32_t a = draw(n), b = draw(n);

    return (uint32_t)((uint64_t)a * b / n);
}

static char stems[STEMS][96];
static char clients[CLIENTS][16];
static const char *const agents[] = {
    "Mozilla/5.0+(Windows+NT+10.0;+Win64;+x64)+AppleWebKit/537.36+(KHTML,+like+Gecko)+Chrome/"
    "124.0.0.0+Safari/537.36",
    "Mozilla/5.0+(Macintosh;+Intel+Mac+OS+X+10_15_7)+AppleWebKit/"
    "605.1.15+(KHTML,+like+Gecko)+Version/17.4+Safari/605.1.15",
    "Mozilla/5.0+(Windows+NT+10.0;+Win64;+x64;+rv:125.0)+Gecko/20100101+Firefox/125.0",
    "Mozilla/5.0+(iPhone;+CPU+iPhone+OS+17_4+like+Mac+OS+X)+AppleWebKit/"
    "605.1.15+(KHTML,+like+Gecko)+Mobile/15E148",
    "Mozilla/5.0+(compatible;+bingbot/2.0;++http://www.bing.com/bingbot.htm)",
    "python-requests/2.31.0",
    "-",
};
static const char *const areas[] = {"shop",    "api",  "content", "images",
                                    "account", "blog", "scripts"};
static const char *const ends[] = {".aspx", ".jpg", ".css", ".js", "", "/", ".html"};

static void make_names(void)
{
    for (uint32_t i = 0; i < STEMS; i++)
        snprintf(stems[i], sizeof(stems[i]), "/%s/section-%c%c/item-%c%c-%" PRIu32 "%s",
                 areas[i % 7], (char)('a' + i % 26), (char)('a' + i / 26 % 26),
                 (char)('a' + i / 7 % 26), (char)('a' + i / 3 % 26), i, ends[i / 7 % 7]);
    for (uint32_t i = 0; i < CLIENTS; i++)
        snprintf(clients[i], sizeof(clients[i]), "%u.%u.%u.%u", 11 + i % 200, draw(256), draw(256),
                 1 + draw(254));
}

/* Everything is written as date, time and the rest, so that the clock is formatted once a second.
 */
static size_t w3c_line(char *out, const char *stamp)
{
    static const struct {
        uint32_t share; /* of 1000 */
        const char *text;
    } outcomes[] = {{840, "200 0 0"}, {70, "304 0 0"}, {28, "404 0 2"},         {1, "404 8 0"},
                    {20, "302 0 0"},  {15, "401 2 5"}, {6, "401 1 2148074254"}, {5, "500 0 0"},
                    {2, "500 19 50"}, {8, "200 0 64"}, {3, "503 2 0"},          {2, "502 3 12002"}};
    uint32_t roll = draw(1000), i = 0, stem = skewed(STEMS);

    while (i + 1 < sizeof(outcomes) / sizeof(outcomes[0]) && roll >= outcomes[i].share)
        roll -= outcomes[i++].share;
    uint32_t ms = draw(100) < 2 ? 1000 + draw(30000) : 1 + skewed(400);
    int n = snprintf(
        out, 2048, "%s 10.0.0.%u %s %s %s 443 %s %s %s %s %s %" PRIu32 "\r\n", stamp, 4 + draw(2),
        draw(20) ? "GET" : "POST", stems[stem], draw(10) ? "-" : "id=17&sort=name",
        draw(12) ? "-" : "CORP\\user17", clients[skewed(CLIENTS)], agents[draw(7)],
        draw(3) ? "-" : "https://www.example.com/shop/default.aspx", outcomes[i].text, ms);

    return n > 0 ? (size_t)n : 0;
}

static size_t httperr_line(char *out, const char *stamp)
{
    static const char *const ends_of[] = {
        "- - - - - - Timer_ConnectionIdle -",
        "HTTP/1.1 GET %s - 503 1 QueueFull ShopPool",
        "HTTP/1.1 POST %s - 503 2 AppOffline ApiPool",
        "HTTP/1.1 GET %s - 400 - Hostname -",
        "HTTP/1.1 GET %s - - 1 Connection_Abandoned_By_ReqQueue ShopPool",
        "- - - - 400 - Verb -",
    };
    char rest[256];
    const char *format = ends_of[skewed(6)], *hole = strstr(format, "%s");

    if (hole)
        snprintf(rest, sizeof(rest), "%.*s%s%s", (int)(hole - format), format, stems[skewed(STEMS)],
                 hole + 2);
    else
        snprintf(rest, sizeof(rest), "%s", format);
    int n = snprintf(out, 2048, "%s %s %u 10.0.0.4 443 %s\r\n", stamp, clients[skewed(CLIENTS)],
                     1024 + draw(60000), rest);

    return n > 0 ? (size_t)n : 0;
}

int main(int argc, char **argv)
{
    int is_w3c = argc > 1 && strcmp(argv[1], "w3c") == 0;
    uint64_t size = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, written = 0, line = 0;
    time_t now = 1741939200, shown = 0; /* 2025-03-14 08:00:00 */
    char stamp[32] = "", out[4096];

    if (size == 0 || (!is_w3c && strcmp(argv[1], "httperr") != 0)) {
        fprintf(stderr, "usage: diagnose_gen w3c|httperr BYTES [SEED]\n");
        return 2;
    }
    if (argc > 3)
        state ^= strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15u;
    make_names();
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    while (written < size) {
        if (now != shown) {
            struct tm tm;
            gmtime_r(&now, &tm);
            strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
            shown = now;
        }
        if (line % BLOCK_EVERY == 0)
            written += (uint64_t)printf(
                "#Software: Microsoft %s\r\n#Version: 1.0\r\n#Date: %s\r\n#Fields: %s\r\n",
                is_w3c ? "Internet Information Services 10.0" : "HTTP API 2.0", stamp,
                is_w3c
                    ? "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip "
                      "cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken"
                    : "date time c-ip c-port s-ip s-port cs-version cs-method cs-uri streamid "
                      "sc-status s-siteid s-reason s-queuename");
        size_t n = is_w3c ? w3c_line(out, stamp) : httperr_line(out, stamp);
        if (fwrite(out, 1, n, stdout) != n)
            return 1;
        written += n;
        now += ++line % 60 == 0;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
