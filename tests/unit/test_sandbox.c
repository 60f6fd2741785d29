#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include "base/rc.h"
#include "base/socket_batch.h"

#include "base/poison.h"

/* Exit codes of the children: 0 is "as wanted". */
enum { NO_SANDBOX = 90, WRONG = 91 };

static int in_child(bool (*lock)(void), int (*fn)(void))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20);
        if (!lock())
            _exit(NO_SANDBOX);
        _exit(fn());
    }
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void *run_thread(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

/* What the listener does all day: accept, epoll, threads, log files. */
static int listener_work(void)
{
    char name[] = "/tmp/candor-sandbox-XXXXXX";
    int ran = 0;
    pthread_t t;
    int file = mkstemp(name), ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    uint64_t one = 1;

    if (file < 0 || write(file, "x", 1) != 1 || fdatasync(file) < 0 || unlink(name) < 0)
        return WRONG;
    if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) < 0 || write(ev, &one, sizeof(one)) < 0 ||
        epoll_wait(ep, &e, 1, 0) != 1)
        return WRONG;
    if (pthread_create(&t, NULL, run_thread, &ran) != 0 || pthread_join(t, NULL) != 0)
        return WRONG;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return WRONG;
    return ran ? 0 : WRONG;
}

#if defined(__SANITIZE_ADDRESS__)
/* What the sanitized build does when it ends. */
static int look_for_leaks(void)
{
    return __lsan_do_recoverable_leak_check() ? WRONG : 0;
}

static void listener_may_look_for_leaks(void **state)
{
    int status = in_child(sandbox_listener, look_for_leaks);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

static struct socket_batch *batch; /* made before the filter */
static int ends[2];

/* Enough at once to go through the ring. */
static int use_batch(void)
{
    char text[4][8];

    for (int i = 0; i < 4; i++)
        if (!socket_batch_send(batch, ends[0], "ab", 2) ||
            !socket_batch_recv(batch, ends[1], text[i], sizeof(text[i])))
            return WRONG;
    const int *results = socket_batch_run(batch);

    for (int i = 0; i < 8; i++)
        if (results[i] != 2)
            return WRONG;
    socket_batch_free(batch);
    return 0;
}

static void listener_may_use_its_batch(void **state)
{
    socket_batch_prepare(1);
    batch = socket_batch_take();
    if (!batch)
        skip(); /* a kernel without */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    int status = in_child(sandbox_listener, use_batch);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(ends[0]);
    close(ends[1]);
    batch = socket_batch_free(batch);
}

static int make_batch(void)
{
    socket_batch_prepare(1);
    return WRONG;
}

static int change_batch(void)
{
    syscall(SYS_io_uring_register, 0, 0, NULL, 0);
    return WRONG;
}

static int wait_in_batch(void)
{
    syscall(SYS_io_uring_enter, 0, 0, 1, 0, NULL, 0);
    return WRONG;
}

static int make_network_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? WRONG : 0;
}

static int start_program(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return WRONG;
}

static int make_pair(void)
{
    int pair[2];

    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? 0 : WRONG;
}

static int change_root(void)
{
    return chroot("/") < 0 ? 0 : WRONG;
}

static void listener_may_work(void **state)
{
    int status = in_child(sandbox_listener, listener_work);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void listener_dies_of_anything_else(void **state)
{
    static const struct {
        const char *name;
        int (*fn)(void);
    } rows[] = {{"network socket", make_network_socket},
                {"execve", start_program},
                {"chroot", change_root},
                {"socketpair", make_pair},
                {"io_uring_setup", make_batch},
                {"io_uring_register", change_batch},
                {"io_uring_enter that waits", wait_in_batch}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status = in_child(sandbox_listener, rows[i].fn);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status %#x, SIGSYS wanted", rows[i].name, (unsigned)status);
    }
}

static int worker_denials(void)
{
    if (chroot("/") == 0 || errno != EPERM)
        return WRONG;
    if (mount("none", "/nowhere", "tmpfs", 0, NULL) == 0 || errno != EPERM)
        return WRONG;
    if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
        return WRONG;
    return 0;
}

static int worker_work(void)
{
    int status = 0;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid = fork();

    if (pid == 0)
        execl("/bin/true", "true", (char *)NULL);
    if (s < 0 || pid < 0 || waitpid(pid, &status, 0) != pid)
        return WRONG;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : WRONG;
}

static void worker_is_denied_what_is_dangerous(void **state)
{
    int status = in_child(sandbox_worker, worker_denials);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void worker_may_start_programs(void **state)
{
    int status = in_child(sandbox_worker, worker_work);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_may_work),
        cmocka_unit_test(listener_may_use_its_batch),
        cmocka_unit_test(listener_dies_of_anything_else),
#if defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(listener_may_look_for_leaks),
#endif
        cmocka_unit_test(worker_is_denied_what_is_dangerous),
        cmocka_unit_test(worker_may_start_programs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
