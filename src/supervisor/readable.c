#include "supervisor/readable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/identity.h"
#include "supervisor/internal.h"
#include "supervisor/sites.h"
#include "base/poison.h"

enum { WAIT_MS = 2000, LINE_MAX_BYTES = 4096 };

/* What refuses, and which rights are missing there. */
struct refusal {
    char path[PATH_MAX];
    int missing; /* R_OK, X_OK */
    bool is_file;
};

static bool refuses(const char *path, int mode, bool is_file, struct refusal *r)
{
    r->missing = 0;
    for (int bit = X_OK; bit <= R_OK; bit <<= 1)
        if ((mode & bit) && faccessat(AT_FDCWD, path, bit, AT_EACCESS) < 0 && errno == EACCES)
            r->missing |= bit;
    if (!r->missing)
        return false;
    snprintf(r->path, sizeof(r->path), "%s", path);
    r->is_file = is_file;
    return true;
}

/* Walks down to the folder as the pool's user. */
static bool find_refusal(const char *folder, struct refusal *r)
{
    _cleanup_free_ char *path = xstrdup(folder);
    _cleanup_free_ char *file = xasprintf("%s/web.config", folder);

    for (char *slash = strchr(path + 1, '/'); path[0] && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (refuses(path, X_OK, false, r))
            return true;
        *slash = '/';
    }
    return refuses(path, R_OK | X_OK, false, r) || refuses(file, R_OK, true, r);
}

static const char *missing_letters(int missing)
{
    return missing == (R_OK | X_OK) ? "rx" : missing == R_OK ? "r" : "x";
}

static char *describe(const struct refusal *r, const char *user)
{
    const char *verb = r->is_file          ? "read the file"
                       : r->missing & R_OK ? "read the folder"
                                           : "walk through the folder";
    struct stat st;

    if (stat(r->path, &st) < 0)
        return xasprintf("the worker's user %s may not %s %s", user, verb, r->path);
    return xasprintf("the worker's user %s may not %s %s (mode %04o, owner uid %u); requests will "
                     "get 401.3 or 500.19. Give that user the right, with `chmod o+%s %s` for "
                     "instance",
                     user, verb, r->path, (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid,
                     missing_letters(r->missing), r->path);
}

/* The child: one line or nothing goes into the pipe. Only this thread exists, so that a fork may
 * do everything; the supervisor's sockets must not outlive it in here. */
_Noreturn static void look(const struct identity *id, const char *folder, int out)
{
    struct refusal *r = xmalloc(sizeof(*r));

    (void)dup2(out, STDIN_FILENO);
    (void)close_range(3, ~0U, 0);
    if (identity_assume(id) && find_refusal(folder, r)) {
        char *line = describe(r, id->user);
        (void)!write(STDIN_FILENO, line, strlen(line));
    }
    _exit(0);
}

static void say(struct supervisor *s, const struct config_site *site, const char *what)
{
    char *text = xasprintf("site \"%.*s\": %s", STR_ARG(site->name), what);

    sup_say("%s", text);
    SUP_EVENT(s, EV_CND_FOLDER_UNREADABLE, NULL, text);
    free(text);
}

/* Whether the folder is there; said if not. Rights are another matter. */
static bool is_there(struct supervisor *s, const struct config_site *site,
                     const struct config_vdir *vdir)
{
    _cleanup_free_ char *folder = str_dup_z(vdir->directory);
    struct stat st;
    int err = stat(folder, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;

    if (err != ENOENT && err != ENOTDIR)
        return true;
    char *what = xasprintf("its physical path %s is %s; requests will get 500.19. Create it or "
                           "correct physicalPath",
                           folder, err == ENOENT ? "not there" : "no folder");

    say(s, site, what);
    free(what);
    return false;
}

static void look_at(struct supervisor *s, const struct config_site *site,
                    const struct config_vdir *vdir, const struct identity *id)
{
    char line[LINE_MAX_BYTES];
    int fds[2];

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    _cleanup_free_ char *folder = str_dup_z(vdir->directory);
    pid_t pid = fork();

    if (pid == 0)
        look(id, folder, fds[1]);
    close(fds[1]);
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    ssize_t n = pid > 0 && poll(&p, 1, WAIT_MS) > 0 ? read(fds[0], line, sizeof(line) - 1) : 0;

    close(fds[0]);
    if (n <= 0)
        return;
    line[n] = '\0';
    say(s, site, line);
}

static void look_at_application(struct supervisor *s, const struct config_site *site,
                                const struct config_application *app)
{
    const struct config_pool *pool = config_pool_by_name(s->config, app->pool);
    struct identity id;
    bool knows_user = pool && identity_foresee(pool, &id) && (geteuid() != 0 || id.changes);

    for (size_t i = 0; i < app->n_vdirs; i++)
        if (is_there(s, site, &app->vdirs[i]) && knows_user)
            look_at(s, site, &app->vdirs[i], &id);
}

void readable_say(struct supervisor *s)
{
    enum { LOOKS_MAX = 200 }; /* hosters' files must not make the start long */
    size_t n, looks = 0;
    const struct config_site *sites = config_sites(s->config, &n);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; sites_started(s, &sites[i]) && k < sites[i].n_applications; k++)
            if ((looks += sites[i].applications[k].n_vdirs) <= LOOKS_MAX)
                look_at_application(s, &sites[i], &sites[i].applications[k]);
}
