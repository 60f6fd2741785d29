#include "detectors_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "diagnose/scan.h"
#include "base/poison.h"

enum { TEXT_MAX = 8 << 20 };

void scene_init(struct scene *s)
{
    *s = (struct scene){0};
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/candor-detectors-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    buf_init(&s->site, TEXT_MAX);
    buf_init(&s->httperr, TEXT_MAX);
    buf_init(&s->ftp, TEXT_MAX);
    arena_init(&s->arena, 0);
    findings_init(&s->fs);
}

void scene_fini(struct scene *s)
{
    DIR *d = opendir(s->dir);

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
    closedir(d);
    assert_int_equal(rmdir(s->dir), 0);
    buf_fini(&s->site);
    buf_fini(&s->httperr);
    buf_fini(&s->ftp);
    findings_fini(&s->fs);
    arena_fini(&s->arena);
}

static void put_time(struct buf *b, int at_s)
{
    time_t t = (time_t)(SCENE_START_S + at_s);
    struct tm tm;
    char text[32];

    assert_non_null(gmtime_r(&t, &tm));
    buf_append(b, text, strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm));
}

static const char *or_default(const char *value, const char *def)
{
    return value ? value : def;
}

void scene_site(struct scene *s, const struct site_line *l)
{
    if (s->site.n == 0)
        buf_str(&s->site,
                STR("#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n"
                    "#Date: 2026-03-10 08:00:00\r\n#Fields: date time s-ip cs-method cs-uri-stem "
                    "cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status "
                    "sc-substatus sc-win32-status time-taken\r\n"));
    put_time(&s->site, l->at_s);
    buf_printf(&s->site, " 192.0.2.1 %s %s %s 443 %s %s Mozilla/5.0+(X11) - %u %u %llu %u\r\n",
               or_default(l->method, "GET"), or_default(l->url, "/"), or_default(l->query, "-"),
               or_default(l->user, "-"), or_default(l->client, "10.0.0.1"), l->status, l->substatus,
               l->win32, l->ms);
}

void scene_err(struct scene *s, const struct err_line *l)
{
    char status[16] = "-";

    if (s->httperr.n == 0)
        buf_str(&s->httperr,
                STR("#Software: Microsoft HTTP API 2.0\r\n#Version: 1.0\r\n"
                    "#Date: 2026-03-10 08:00:00\r\n#Fields: date time c-ip c-port s-ip s-port "
                    "cs-version cs-method cs-uri streamid sc-status s-siteid s-reason "
                    "s-queuename\r\n"));
    if (l->status)
        (void)snprintf(status, sizeof(status), "%u", l->status);
    put_time(&s->httperr, l->at_s);
    buf_printf(&s->httperr, " %s 50123 192.0.2.1 443 %s %s %s - %s %s %s %s\r\n",
               or_default(l->client, "10.0.0.1"), l->method ? "HTTP/1.1" : "-",
               or_default(l->method, "-"), or_default(l->url, "-"), status, l->queue ? "1" : "-",
               l->reason, or_default(l->queue, "-"));
}

void scene_ftp(struct scene *s, int at_s, const char *client, const char *verb, unsigned status,
               unsigned win32, unsigned substatus)
{
    if (s->ftp.n == 0)
        buf_str(&s->ftp,
                STR("#Software: Microsoft Internet Information Services 10.0\r\n"
                    "#Version: 1.0\r\n#Date: 2026-03-10 08:00:00\r\n#Fields: date time c-ip "
                    "cs-username s-ip s-port cs-method cs-uri-stem sc-status sc-win32-status "
                    "sc-substatus x-session x-fullpath\r\n"));
    put_time(&s->ftp, at_s);
    buf_printf(&s->ftp,
               " %s - 192.0.2.1 21 %s *** %u %u %u 1b2c3d4e-0000-0000-0000-000000000001 -\r\n",
               client, verb, status, win32, substatus);
}

void scene_traffic(struct scene *s, int at_s, int count, unsigned ms)
{
    static const char *const clients[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"};
    static const char *const urls[] = {"/", "/products/17", "/css/site.css", "/api/orders",
                                       "/login"};

    for (int i = 0; i < count; i++)
        SITE(s, .at_s = at_s + i, .client = clients[i % 4], .url = urls[i % 5], .status = 200,
             .ms = ms);
}

void scene_file(struct scene *s, const char *name, struct str text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", s->dir, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
}

void scene_run(struct scene *s)
{
    const char *path = s->dir;
    struct scan_options options = {.list_max = 0, .top = 50, .threads = 1};

    filter_init(&options.filter);
    filter_finish(&options.filter);
    assert_false(s->site.overflow || s->httperr.overflow);
    if (s->site.n)
        scene_file(s, "u_ex260310.log", buf_view(&s->site));
    if (s->httperr.n)
        scene_file(s, "httperr1.log", buf_view(&s->httperr));
    if (s->ftp.n)
        scene_file(s, "ftp260310.log", buf_view(&s->ftp));
    s->m = scan_paths(&path, 1, &options, &s->arena);
    assert_non_null(s->m);
    detectors_run(s->m, &s->fs);
}

static const struct finding *find(const struct scene *s, const char *id)
{
    for (size_t i = 0; i < s->fs.n; i++)
        if (strcmp(s->fs.at[i]->id, id) == 0)
            return s->fs.at[i];
    return NULL;
}

const struct finding *scene_finding(const struct scene *s, const char *id)
{
    const struct finding *f = find(s, id);

    if (!f) {
        for (size_t i = 0; i < s->fs.n; i++)
            print_error("there is %s\n", s->fs.at[i]->id);
        fail_msg("no finding %s", id);
    }
    return f;
}

bool scene_has(const struct scene *s, const char *id)
{
    return find(s, id) != NULL;
}

bool says(struct str text, const char *part)
{
    if (str_find(text, str_z(part)) != SIZE_MAX)
        return true;
    print_error("\"%s\" is not in \"%.*s\"\n", part, STR_ARG(text));
    return false;
}

bool advises(const struct finding *f, const char *part)
{
    for (size_t i = 0; i < f->step_n; i++)
        if (str_find(f->steps[i], str_z(part)) != SIZE_MAX)
            return true;
    for (size_t i = 0; i < f->step_n; i++)
        print_error("step: %.*s\n", STR_ARG(f->steps[i]));
    print_error("none says \"%s\"\n", part);
    return false;
}

bool relates(const struct finding *f, const char *term)
{
    for (size_t i = 0; i < f->related_n; i++)
        if (str_eq(f->related[i], str_z(term)))
            return true;
    print_error("\"%s\" is not related to %s\n", term, f->id);
    return false;
}
