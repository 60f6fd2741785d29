/* What the listener tells the supervisor, in its order. The control thread never waits for a
 * supervisor that does not read: what the socket has no room for is kept, up to a bound. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/ipc.h"
#include "listener/shared.h"
#include "base/poison.h"

enum { UNTOLD_MAX = 10000 };

struct untold {
    struct untold *next;
    json_t *msg;
};

static void keep(struct listener *l, json_t *msg)
{
    if (l->n_untold >= UNTOLD_MAX) {
        if (l->lost++ == 0)
            fprintf(stderr, "candor: the supervisor does not read what the listener tells it; "
                            "from now on messages are lost\n");
        json_decref(msg);
        return;
    }
    struct untold *u = xcalloc(1, sizeof(*u));

    u->msg = msg;
    *l->untold_end = u;
    l->untold_end = &u->next;
    if (l->n_untold++ == 0)
        loop_io_set(l->loop, &l->control_io, EPOLLIN | EPOLLOUT);
}

void listener_tell(struct listener *l, json_t *msg)
{
    /* To a supervisor that is gone nothing can be told; on_control sees to the rest. */
    if (!l->untold && ipc_try_send(l->control, msg, NULL, 0) != 0)
        json_decref(msg);
    else
        keep(l, msg);
}

static void forget_first(struct listener *l)
{
    struct untold *u = l->untold;

    l->untold = u->next;
    l->n_untold--;
    json_decref(u->msg);
    free(u);
}

void listener_tell_rest(struct listener *l)
{
    while (l->untold && ipc_try_send(l->control, l->untold->msg, NULL, 0) != 0)
        forget_first(l);
    if (l->untold)
        return;
    l->untold_end = &l->untold;
    if (l->control_io.armed)
        loop_io_set(l->loop, &l->control_io, EPOLLIN);
    if (l->lost)
        fprintf(stderr, "candor: the supervisor reads again; %llu messages to it were lost\n",
                (unsigned long long)l->lost);
    l->lost = 0;
}

void listener_tell_last(struct listener *l)
{
    while (l->untold && ipc_send(l->control, l->untold->msg, NULL, 0))
        forget_first(l);
    while (l->untold)
        forget_first(l);
}
