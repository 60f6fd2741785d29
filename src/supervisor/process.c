#include "supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "queue/control.h"
#include "supervisor/identity.h"
#include "base/poison.h"

static int own_executable = -1;

/* Variables that are a conversation between us and who started us. */
static const char *const private_names[] = {"NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=",
                                            "LISTEN_FDS=",    "LISTEN_PID=",   "LISTEN_FDNAMES="};

bool process_init(void)
{
    own_executable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return own_executable >= 0;
}

void process_fini(void)
{
    if (own_executable >= 0)
        close(own_executable);
    own_executable = -1;
}

uint64_t process_raise_limits(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return UINT64_MAX;
    if (r.rlim_cur < r.rlim_max) {
        rlim_t before = r.rlim_cur;
        r.rlim_cur = r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r) < 0)
            r.rlim_cur = before;
    }
    return r.rlim_cur;
}

static bool is_private(const char *assignment)
{
    for (size_t i = 0; i < ARRAY_LEN(private_names); i++)
        if (str_starts(str_z(assignment), str_z(private_names[i])))
            return true;
    return false;
}

static bool names(const char *assignment, struct str name)
{
    struct str a = str_z(assignment);

    return a.n > name.n && a.p[name.n] == '=' && str_starts(a, name);
}

static bool is_replaced(const char *assignment, const struct process_env *env, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (names(assignment, env[i].name))
            return true;
    return false;
}

static bool has_name(const struct process_env *env, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(env[i].name, name))
            return true;
    return false;
}

static char *assignment(struct str name, struct str value)
{
    return xasprintf("%.*s=%.*s", STR_ARG(name), STR_ARG(value));
}

/* NULL-terminated; the strings and the list are for free_environment. */
static char **build_environment(const struct process_options *o)
{
    const struct process_env own[] = {{STR("HOME"), str_z(o->identity->home)},
                                      {STR("USER"), str_z(o->identity->user)},
                                      {STR("LOGNAME"), str_z(o->identity->user)}};
    size_t n_own = o->identity->changes ? ARRAY_LEN(own) : 0, n = 0, count = 0;

    while (environ[count])
        count++;
    char **list = xcalloc(count + n_own + o->n_env + 1, sizeof(*list));

    for (size_t i = 0; i < count; i++)
        if (!is_private(environ[i]) && !is_replaced(environ[i], o->env, o->n_env) &&
            !is_replaced(environ[i], own, n_own))
            list[n++] = xstrdup(environ[i]);
    for (size_t i = 0; i < n_own; i++)
        if (!has_name(o->env, o->n_env, own[i].name))
            list[n++] = assignment(own[i].name, own[i].value);
    for (size_t i = 0; i < o->n_env; i++)
        if (o->env[i].name.n)
            list[n++] = assignment(o->env[i].name, o->env[i].value);
    return list;
}

static void free_environment(char **list)
{
    for (char **p = list; *p; p++)
        free(*p);
    free(list);
}

static _Noreturn void child_failed(const char *what)
{
    dprintf(STDERR_FILENO, "candor: cannot start a process: %s: %s\n", what, strerror(errno));
    _exit(126);
}

/* Descriptors 0..CONTROL_FD are set, everything above goes. */
static void arrange_descriptors(int control, int executable, bool keeps_stdout)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        child_failed("/dev/null");
    if (!keeps_stdout && dup2(null, STDOUT_FILENO) < 0)
        child_failed("/dev/null");
    if (dup2(control, CONTROL_FD) < 0 || dup3(executable, CONTROL_FD + 1, O_CLOEXEC) < 0)
        child_failed("dup");
    if (close_range(CONTROL_FD + 2, ~0u, 0) < 0)
        child_failed("close_range");
}

static void default_signals(void)
{
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP)
            signal(s, SIG_DFL);
    /* A client that goes away must be an error code, in every role; so must a file that reaches the
     * limit of sizes (ulimit -f). */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run_child(const struct process_options *o, char **env, int control,
                                pid_t parent)
{
    const char *argv[] = {"candor", "--role", o->role, o->label, NULL};

    default_signals();
    setpgid(0, 0); /* Ctrl-C is for the supervisor; it tells the others */
    /* Both must be out of the way of descriptors 0..4 before anything is put there. */
    control = fcntl(control, F_DUPFD_CLOEXEC, CONTROL_FD + 2);
    int executable = fcntl(own_executable, F_DUPFD_CLOEXEC, CONTROL_FD + 2);
    if (control < 0 || executable < 0)
        child_failed("dup");
    arrange_descriptors(control, executable, o->keeps_stdout);
    if (!identity_assume(o->identity))
        child_failed(o->identity->user);
    /* Changing the user has cleared it, so not earlier. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    syscall(SYS_execveat, CONTROL_FD + 1, "", argv, env, AT_EMPTY_PATH);
    child_failed("execute");
}

bool process_start(const struct process_options *o, pid_t *ret_pid, int *ret_control)
{
    int pair[2];
    pid_t parent = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return false;
    char **env = build_environment(o);
    pid_t pid = fork();

    if (pid == 0)
        run_child(o, env, pair[1], parent);
    int e = errno;

    free_environment(env);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = e;
        return false;
    }
    *ret_pid = pid;
    *ret_control = pair[0];
    return true;
}
