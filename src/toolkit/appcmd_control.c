#include "toolkit/appcmd_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/ipc.h"
#include "base/poison.h"

enum { ANSWER_MAX = 64 << 20, PATIENCE_S = 30 };

/* As docs/running.md has it for the server. */
char *appcmd_control_path(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");

    if (geteuid() == 0)
        return xstrdup("/run/candor/control");
    if (runtime && runtime[0] == '/')
        return xasprintf("%s/candor/control", runtime);
    if (state && state[0] == '/')
        return xasprintf("%s/candor/control", state);
    return xasprintf("%s/.local/state/candor/control", home ? home : "");
}

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    size_t n = strlen(path);

    if (n >= sizeof(at.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    int e = errno;

    close(fd);
    errno = e;
    return -1;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w < 0)
            return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

/* Reads up to the end of the line. False with errno, 0 if the server has hung up. */
static bool read_line(int fd, struct buf *out)
{
    while (str_find_char(buf_view(out), '\n') == SIZE_MAX) {
        char *room = buf_reserve(out, 65536);
        ssize_t n = room ? recv(fd, room, 65536, 0) : -1;
        if (n <= 0) {
            if (n == 0)
                errno = 0;
            return false;
        }
        out->n += (size_t)n;
    }
    return true;
}

json_t *appcmd_ask(const char *path, json_t *request, char **ret_why)
{
    _cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);
    _cleanup_close_ int fd = connect_to(path);
    _cleanup_buf_ struct buf line;

    json_decref(request);
    buf_init(&line, ANSWER_MAX);
    if (fd < 0 || !text) {
        *ret_why = xasprintf("no server answers at %s: %s; start one, or name its socket with "
                             "--control",
                             path, strerror(errno));
        return NULL;
    }
    if (!send_all(fd, text, strlen(text)) || !send_all(fd, "\n", 1) || !read_line(fd, &line)) {
        *ret_why = xasprintf("the server at %s does not answer: %s", path,
                             errno ? strerror(errno) : "it has hung up");
        return NULL;
    }
    json_t *answer = json_loadb(line.p, line.n, 0, NULL);

    if (json_is_object(answer) && ipc_get_bool(answer, "ok", false))
        return answer;
    *ret_why = xstrdup(ipc_get_str(answer, "error", "its answer makes no sense"));
    json_decref(answer);
    return NULL;
}
