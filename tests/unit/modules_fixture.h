/* A site on disk, its real configuration, and a stand-in for the worker behind struct request, so
 * that modules can be called one hook at a time. */
#ifndef CANDOR_TESTS_MODULES_FIXTURE_H
#define CANDOR_TESTS_MODULES_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/config.h"
#include "worker/handlers.h"
#include "worker/modules/modules.h"
#include "worker/url_cache.h"

struct fixture {
    char root[64]; /* of the site */
    struct config *config;
    struct arena memory; /* entries, module configuration */
    struct request *r;   /* the request under test */
    struct handler_mapping handler;
    /* What the modules asked of the worker. */
    unsigned executed; /* child requests */
    bool executed_get;
    char executed_path[256], executed_query[512];
    const struct status_row *execute_row; /* the child fails with it; NULL: succeeds */
    enum pipe_rc execute_rc; /* what the child answers */
};

/* A fresh site. app_host is put behind the shipped applicationHost.config's sections, or into the
 * site if it is an <application> (NULL: nothing); web_config becomes the content of the root's
 * web.config (NULL: none). */
struct fixture *fixture_new(const char *app_host, const char *web_config);
void fixture_free(struct fixture *f);
/* Writes root/name, with the folders it needs. */
void fixture_file(struct fixture *f, const char *name, const char *content);

/* Begins a request; headers are "Name: value", ended by NULL, or NULL. The one before is gone. */
struct request *fixture_request(struct fixture *f, const char *method, const char *target,
                                const char *const *headers);

/* The module's configuration for the request's URL; the test fails if it has an error. */
const void *fixture_conf(struct fixture *f, const struct module *m);
/* Calls a hook, or execute for N_EXECUTE_REQUEST_HANDLER. */
enum pipe_rc fixture_run(struct fixture *f, const struct module *m, enum notification at);

/* The response's body in one piece, NUL-terminated; in the request's memory. */
const char *fixture_body(struct fixture *f);
/* First value of a response header, "" if absent. */
const char *fixture_header(struct fixture *f, const char *name);

#endif
