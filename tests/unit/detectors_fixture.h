/* Scenes for the tests of detectors: log lines as the servers write them, read by the real readers
 * from a folder of their own, and judged by all detectors. */
#ifndef CANDOR_TEST_DETECTORS_FIXTURE_H
#define CANDOR_TEST_DETECTORS_FIXTURE_H

#include "base/arena.h"
#include "base/buf.h"
#include "diagnose/detector.h"

/* 2026-03-10 08:00:00 UTC; times of scenes count from here. */
#define SCENE_START_S INT64_C(1773129600)

struct scene {
    char dir[64];
    struct buf site, httperr, ftp; /* text of the logs, with header once a line is in it */
    struct arena arena;
    struct model *m;
    struct findings fs;
};

struct site_line {
    int at_s;                                         /* since SCENE_START_S */
    const char *client, *user, *method, *url, *query; /* NULL: 10.0.0.1, -, GET, /, - */
    unsigned status, substatus;
    unsigned long long win32;
    unsigned ms;
};

struct err_line {
    int at_s;
    const char *client, *method, *url; /* NULL: 10.0.0.1, -, - */
    unsigned status;                   /* 0: - */
    const char *reason, *queue;        /* NULL: - */
};

void scene_init(struct scene *s);
void scene_fini(struct scene *s);
void scene_site(struct scene *s, const struct site_line *line);
#define SITE(s, ...) scene_site((s), &(struct site_line){__VA_ARGS__})
void scene_err(struct scene *s, const struct err_line *line);
#define ERR(s, ...) scene_err((s), &(struct err_line){__VA_ARGS__})
void scene_ftp(struct scene *s, int at_s, const char *client, const char *verb, unsigned status,
               unsigned win32, unsigned substatus);
/* count requests that succeed, one every second from at_s on, of four clients. */
void scene_traffic(struct scene *s, int at_s, int count, unsigned ms);
/* A file with this text. */
void scene_file(struct scene *s, const char *name, struct str text);

/* Writes the files, reads them and runs the detectors. */
void scene_run(struct scene *s);
/* The finding of an id; the test fails if there is none. */
const struct finding *scene_finding(const struct scene *s, const char *id);
bool scene_has(const struct scene *s, const char *id);

/* Whether a text holds a part; prints the text if not. */
bool says(struct str text, const char *part);
/* The same for any of the steps. */
bool advises(const struct finding *f, const char *part);
bool relates(const struct finding *f, const char *term);

#endif
