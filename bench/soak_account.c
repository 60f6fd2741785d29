/* The accountant: holds the server's logs against the ledger. */
#include "soak.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/attack/loopback.h"

static uint64_t by_port_ledger[65536], by_port_log[65536], behind_ports[65536];
static uint64_t site_lines, foreign, doubled, false_status, false_kind, ghosts;
static unsigned complaints;

static struct reason {
    char name[48];
    uint64_t lines;
} reasons[64];

static void complain(const char *what, const char *line)
{
    if (complaints++ < 40)
        printf("  %s: %.300s\n", what, line);
}

/* Splits a line at blanks, in place. */
static size_t split(char *line, char **fields, size_t most)
{
    size_t n = 0;

    for (char *p = line; n < most; n++) {
        fields[n] = p;
        p = strchr(p, ' ');
        if (!p)
            return n + 1;
        *p++ = '\0';
    }
    return n;
}

static size_t column(char **names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    printf("soak: a log without the column %s\n", name);
    exit(1);
}

struct columns {
    char text[1024];
    size_t stem, agent, status, method, reason, port;
};

static void read_columns(struct columns *c, const char *line, bool httperr)
{
    char *names[64];
    size_t n;

    snprintf(c->text, sizeof c->text, "%s", line);
    n = split(c->text, names, 64);
    c->status = column(names, n, "sc-status");
    if (httperr) {
        c->reason = column(names, n, "s-reason");
        c->port = column(names, n, "c-port");
        return;
    }
    c->stem = column(names, n, "cs-uri-stem");
    c->agent = column(names, n, "cs(User-Agent)");
    c->method = column(names, n, "cs-method");
}

static void site_line(char *line, const struct columns *c)
{
    char copy[512], path[64], *fields[64], *end;
    size_t n;
    uint64_t serial, status;
    struct entry *e;
    const struct kind *k;

    snprintf(copy, sizeof copy, "%s", line);
    n = split(line, fields, 64);
    if (n <= c->status || fields[c->agent][0] != 's') {
        foreign++;
        complain("a line of nobody's", copy);
        return;
    }
    serial = strtoull(fields[c->agent] + 1, &end, 10);
    if (*end != '\0' || serial == 0 || serial >= ledger->sent) {
        foreign++;
        complain("a line of nobody's", copy);
        return;
    }
    e = &ledger->entries[serial];
    k = &kinds[e->kind];
    status = strtoull(fields[c->status], NULL, 10);
    if (e->seen++ > 0) {
        doubled++;
        complain("a second line", copy);
    } else if (e->result == ABORTED) {
        ; /* whatever the server found out first */
    } else if (e->result < 100 || k == &kinds[BAD_HOST] || e->result == 503) {
        ghosts++;
        complain("a site line although the client had no answer from there", copy);
    } else if (status != e->result) {
        false_status++;
        complain("another status than the client saw", copy);
    }
    ledger_path(path, sizeof path, k, (uint32_t)serial);
    path[strcspn(path, "?")] = '\0';
    if (strcmp(path, fields[c->stem]) != 0 || strcmp(k->method, fields[c->method]) != 0) {
        false_kind++;
        complain("another request than was sent", copy);
    }
}

static void httperr_line(char *line, const struct columns *c)
{
    char *fields[64];
    struct reason *r = reasons;

    if (split(line, fields, 64) <= c->reason) {
        foreign++;
        complain("a short HTTPERR line", line);
        return;
    }
    while (r->lines && strcmp(r->name, fields[c->reason]) != 0)
        r++;
    snprintf(r->name, sizeof r->name, "%s", fields[c->reason]);
    r->lines++;
    if (strcmp(r->name, "Connection_Abandoned_By_ReqQueue") == 0)
        by_port_log[number(fields[c->port]) & 0xffff]++;
}

static void read_log(const char *path, bool httperr)
{
    FILE *in = fopen(path, "r");
    struct columns c = {0};
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    if (!in)
        die(path);
    while ((n = getline(&line, &size, in)) > 0) {
        if (n < 2 || line[n - 1] != '\n' || line[n - 2] != '\r') {
            foreign++;
            complain("an unfinished line", line);
            continue;
        }
        line[n - 2] = '\0';
        if (strncmp(line, "#Fields: ", 9) == 0)
            read_columns(&c, line + 9, httperr);
        if (line[0] == '#')
            continue;
        if (httperr) {
            httperr_line(line, &c);
        } else {
            site_lines++;
            site_line(line, &c);
        }
    }
    free(line);
    fclose(in);
}

static void read_folder(const char *folder, bool httperr)
{
    DIR *dir = opendir(folder);
    struct dirent *d;
    char path[1024];

    if (!dir) {
        printf("  (no %s)\n", folder);
        return;
    }
    while ((d = readdir(dir))) {
        if (strlen(d->d_name) < 5 || strcmp(d->d_name + strlen(d->d_name) - 4, ".log") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        read_log(path, httperr);
    }
    closedir(dir);
}

static uint64_t lines_of(const char *reason)
{
    for (struct reason *r = reasons; r->lines; r++)
        if (strcmp(r->name, reason) == 0)
            return r->lines;
    return 0;
}

enum { SENT, ANSWERED, WAS_LOST, UNREAD, SITE_LINES, ODD, NO_LINE, COLUMNS };

/* What the ledger says, held against the lines that were found. */
struct sums {
    uint64_t by[KINDS + 1][COLUMNS]; /* the last: of all kinds */
    uint64_t carried[TRANSPORTS];
    uint64_t missing, unavailable, bad, quit, quit_lines;
};

static void count_entry(struct sums *s, uint64_t number, const struct entry *e)
{
    uint64_t *by = s->by[e->kind];

    by[SENT]++;
    s->carried[e->transport]++;
    by[ANSWERED] += e->result >= 100;
    by[WAS_LOST] += e->result == LOST;
    s->quit += e->result == ABORTED;
    s->quit_lines += e->result == ABORTED && e->seen;
    by[UNREAD] += e->result == LOST_BEHIND || e->result == NOT_READ;
    by[SITE_LINES] += e->seen;
    by[ODD] += e->result >= 100 && e->result != kinds[e->kind].status;
    by_port_ledger[e->port] += e->result == LOST;
    behind_ports[e->port] += e->result == LOST_BEHIND || e->result == ABORTED;
    if (e->result == NOT_SENT) {
        printf("  request %lu has no result\n", (unsigned long)number);
        s->missing++;
    } else if (e->result == 503) {
        s->unavailable++;
    } else if (e->kind == BAD_HOST) {
        s->bad += e->result >= 100;
    } else if (e->result >= 100 && e->seen == 0) {
        s->missing++;
        by[NO_LINE]++;
        if (complaints++ < 40)
            printf("  no line: request %lu, %s, port %u, transport %u, answered %u\n",
                   (unsigned long)number, kinds[e->kind].name, e->port, e->transport, e->result);
    }
}

static void print_kinds(struct sums *s)
{
    printf("%-18s %12s %12s %8s %8s %12s %8s %8s\n", "kind", "sent", "answered", "lost", "unread",
           "site lines", "odd", "no line");
    for (size_t k = 0; k <= KINDS; k++) {
        const uint64_t *by = s->by[k];

        printf("%-18s %12lu %12lu %8lu %8lu %12lu %8lu %8lu\n", k < KINDS ? kinds[k].name : "all",
               (unsigned long)by[SENT], (unsigned long)by[ANSWERED], (unsigned long)by[WAS_LOST],
               (unsigned long)by[UNREAD], (unsigned long)by[SITE_LINES], (unsigned long)by[ODD],
               (unsigned long)by[NO_LINE]);
        for (size_t i = 0; k < KINDS && i < COLUMNS; i++)
            s->by[KINDS][i] += by[i];
    }
    printf("over HTTP/1.1 %lu, HTTP/1.1 with TLS %lu, HTTP/2 %lu\n",
           (unsigned long)s->carried[PLAIN], (unsigned long)s->carried[TLS],
           (unsigned long)s->carried[H2]);
}

/* A lost request has its line; those pipelined behind it may have one. Gives how many ports do not
 * fit. */
static uint64_t judge_ports(void)
{
    uint64_t off = 0;

    for (size_t i = 0; i < 65536; i++) {
        bool fits = by_port_log[i] >= by_port_ledger[i] &&
                    by_port_log[i] <= by_port_ledger[i] + behind_ports[i];

        if (!fits && off++ < 10)
            printf("  port %zu: %lu requests lost (and %lu behind), %lu lines "
                   "Connection_Abandoned_By_ReqQueue\n",
                   i, (unsigned long)by_port_ledger[i], (unsigned long)behind_ports[i],
                   (unsigned long)by_port_log[i]);
    }
    return off;
}

/* Lines of HTTPERR that belong to neither a lost nor a refused request. */
static uint64_t print_reasons(void)
{
    uint64_t total = 0;

    for (struct reason *r = reasons; r->lines; r++) {
        printf("HTTPERR %-34s %lu\n", r->name, (unsigned long)r->lines);
        total += r->lines;
    }
    return total - lines_of("Connection_Abandoned_By_ReqQueue") - lines_of("Hostname");
}

int account(int argc, char **argv)
{
    static struct sums s;

    ledger_map(argv[2], 0);
    for (uint64_t i = 1; i < ledger->sent; i++)
        ledger->entries[i].seen = 0;
    read_folder(argv[3], true);
    for (int i = 4; i < argc; i++)
        read_folder(argv[i], false);
    for (uint64_t i = 1; i < ledger->sent; i++)
        count_entry(&s, i, &ledger->entries[i]);
    print_kinds(&s);
    uint64_t extra = print_reasons(), off_ports = judge_ports();

    printf("answered 503: %lu; refused as bad: %lu; reset by the client: %lu, of them %lu in a "
           "site log; other HTTPERR lines: %lu\n",
           (unsigned long)s.unavailable, (unsigned long)s.bad, (unsigned long)s.quit,
           (unsigned long)s.quit_lines, (unsigned long)extra);
    printf("no line %lu, two lines %lu, ghosts %lu, other status %lu, other request %lu, foreign "
           "%lu, ports off %lu\n",
           (unsigned long)s.missing, (unsigned long)doubled, (unsigned long)ghosts,
           (unsigned long)false_status, (unsigned long)false_kind, (unsigned long)foreign,
           (unsigned long)off_ports);
    if (s.missing || doubled || ghosts || false_status || false_kind || foreign || off_ports ||
        extra < s.unavailable || extra > s.unavailable + s.quit - s.quit_lines ||
        lines_of("Hostname") != s.bad) {
        printf("NOT every request is accounted for\n");
        return 1;
    }
    printf("every request is accounted for: %lu answered and logged once, %lu lost with their "
           "HTTPERR line\n",
           (unsigned long)s.by[KINDS][ANSWERED], (unsigned long)s.by[KINDS][WAS_LOST]);
    return 0;
}
