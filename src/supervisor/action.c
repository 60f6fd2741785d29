#include "supervisor/action.h"

#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/poison.h"

enum { ARGUMENTS_MAX = 64, ARGUMENT_MAX = 1024 };

bool action_next_argument(struct str *rest, pid_t pid, char *out, size_t room)
{
    size_t n = 0, i;
    bool quoted = false;

    *rest = str_trim(*rest);
    if (rest->n == 0)
        return false;
    for (i = 0; i < rest->n && (quoted || (rest->p[i] != ' ' && rest->p[i] != '\t')); i++) {
        if (rest->p[i] == '"') {
            quoted = !quoted;
        } else if (str_starts(str_sub(*rest, i, rest->n), STR("%1%"))) {
            int w = snprintf(out + n, room - n, "%d", (int)pid);
            n = w < 0 || (size_t)w >= room - n ? room - 1 : n + (size_t)w;
            i += 2;
        } else if (n + 1 < room) {
            out[n++] = rest->p[i];
        }
    }
    out[n] = '\0';
    *rest = str_sub(*rest, i, rest->n);
    return true;
}

void action_run(struct str exe, struct str params, pid_t pid)
{
    char *argv[ARGUMENTS_MAX + 1] = {str_dup_z(exe)}, text[ARGUMENT_MAX];
    size_t n = 1;
    posix_spawnattr_t attr;
    sigset_t none;
    pid_t child;

    while (n < ARGUMENTS_MAX && action_next_argument(&params, pid, text, sizeof(text)))
        argv[n++] = xstrdup(text);
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int e = posix_spawn(&child, argv[0], NULL, &attr, argv, environ);

    if (e)
        fprintf(stderr, "candor: %s: %s\n", argv[0], strerror(e));
    posix_spawnattr_destroy(&attr);
    for (size_t i = 0; i < n; i++)
        free(argv[i]);
}
