#include "faults_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "stopwatch.h"

struct faults faults = {.dir = "/tmp/candor-test-faults-XXXXXX"};

int faults_set_up_with(void **state, const struct fixture_options *o)
{
    static struct fake_worker w;

    if (!mkdtemp(faults.dir))
        return -1;
    faults.port = fixture_start_with(faults.dir, o);
    fixture_attach(&w);
    *state = &w;
    return 0;
}

int faults_set_up(void **state)
{
    return faults_set_up_with(state, &(struct fixture_options){0});
}

int faults_tear_down(void **state)
{
    struct fake_worker *w = *state;

    fixture_stop();
    region_unmap(&w->region);
    return fixture_remove_logs();
}

static size_t count_in(const char *path, const char *what)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(faults.text, 1, sizeof(faults.text) - 1, f) : 0, found = 0;

    if (f)
        fclose(f);
    faults.text[n] = '\0';
    for (const char *p = faults.text; (p = strstr(p, what)); p++)
        found++;
    return found;
}

size_t faults_lines_of(const char *what)
{
    char path[512];
    size_t found = 0;

    snprintf(path, sizeof(path), "%s/W3SVC1", faults.dir);
    DIR *d = opendir(path);

    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof(path), "%s/W3SVC1/%s", faults.dir, e->d_name);
        if (e->d_name[0] != '.')
            found += count_in(path, what);
    }
    if (d)
        closedir(d);
    snprintf(path, sizeof(path), "%s/HTTPERR/httperr1.log", faults.dir);
    return found + count_in(path, what);
}

void faults_expect_lines(const char *what, size_t n)
{
    size_t found = faults_lines_of(what);

    for (uint64_t until = clock_mono_ms() + PATIENCE_MS; found < n; found = faults_lines_of(what)) {
        if (clock_mono_ms() > until)
            fail_msg("%zu times in the logs: %s\n%s", found, what, faults.text);
        usleep(20000);
    }
}

void faults_expect_line(const char *what)
{
    faults_expect_lines(what, 1);
}

void faults_expect_one_line(const char *path, const char *line)
{
    faults_expect_line(line);
    usleep(1500000); /* what a second one would take to get to the disk */
    assert_int_equal(faults_lines_of(path), 1);
}

uint64_t faults_take(struct fake_worker *w, const char *path)
{
    return worker_take_path(w, faults.data, sizeof(faults.data), path);
}

void faults_expect_abort(struct fake_worker *w, uint64_t id)
{
    struct ring_record rec;

    do
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
    while (rec.type == MSG_CREDIT);
    assert_int_equal(rec.type, MSG_REQUEST_ABORT);
    assert_int_equal(rec.id, id);
}

void faults_reset_answer(struct fake_worker *w, uint64_t id)
{
    struct msg_end end = {0};

    worker_send(w, MSG_RESPONSE_RESET, 0, id, &end, sizeof(end));
}

void faults_pause(void)
{
    usleep(300000); /* more than two ticks */
}

void faults_hard_close(int fd)
{
    struct linger hard = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(fd);
}

int faults_narrow_client(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), narrow = 32768;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(faults.port)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

void faults_want(struct fake_worker *w, uint64_t id, uint64_t amount)
{
    struct msg_amount m = {.amount = amount};

    worker_send(w, MSG_BODY_WANTED, 0, id, &m, sizeof(m));
}

size_t faults_body_of(struct fake_worker *w, uint64_t id)
{
    struct ring_record rec;
    size_t n = 0;

    do {
        assert_true(worker_take_record(w, faults.data, sizeof(faults.data), &rec));
        assert_int_equal(rec.type, MSG_REQUEST_BODY);
        assert_int_equal(rec.id, id);
        n += rec.len;
    } while (!(rec.flags & MSG_END));
    return n;
}

void faults_nothing_is_left(void)
{
    fixture_wait_connections(0);
    fixture_wait_queued(0);
}

char *faults_many_headers(size_t n, const char *line)
{
    size_t k = strlen(line);
    char *s = xmalloc(n * k + 64), *p = s;

    p += snprintf(p, 64, "GET /many HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < n; i++, p += k)
        memcpy(p, line, k);
    memcpy(p, "\r\n", 3);
    return s;
}

void faults_send_all(int c, const char *s)
{
    size_t n = strlen(s);

    while (n) {
        ssize_t k = send(c, s, n, MSG_NOSIGNAL);
        if (k <= 0)
            return; /* refused before all was sent */
        s += k;
        n -= (size_t)k;
    }
}
