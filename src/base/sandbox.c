#include "base/sandbox.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/poison.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* Everything the listener does after its start: sockets it is handed, rings, threads, log files.
 * Names that the running kernel or library does not know are skipped. */
static const char *const listener_calls[] = {
    /* connections and rings */
    "read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "recvmmsg",
    "sendmmsg", "sendfile", "splice", "accept", "accept4", "shutdown", "close", "close_range",
    "getsockopt", "setsockopt", "getsockname", "getpeername", "connect", "dup", "dup2", "dup3",
    "fcntl", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll",
    "ppoll", "select", "pselect6", "eventfd2", "signalfd4", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "memfd_create",
    /* files: logs, and what workers hand over */
    "open", "openat", "pread64", "pwrite64", "preadv", "pwritev", "lseek", "fstat", "stat", "lstat",
    "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents64", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink",
    "unlinkat", "ftruncate", "fallocate", "fsync", "fdatasync", "getcwd", "umask",
    /* memory, threads, signals, time */
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "futex", "futex_waitv", "membarrier",
    "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "exit", "exit_group",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "getcpu", "gettid", "getpid",
    "getppid", "tgkill", "prctl", "arch_prctl", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend", "sigaltstack", "restart_syscall",
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
    "times", "getrusage", "getrandom", "uname", "sysinfo", "getuid", "geteuid", "getgid",
    "getegid", "getrlimit",
};

/* What the sanitizers' run time adds: it probes memory through pipes, and the leak check stops the
 * process's own threads from a helper that traces them. */
static const char *const sanitizer_calls[] = {
    "clone", "ptrace", "wait4", "waitid", "pipe", "pipe2", "kill", "mincore", "msync", "prlimit64",
    "setrlimit", "personality", "capget", "getdents", "ioctl", "sched_getparam", "sched_getscheduler",
};

/* Nothing that serving pages, running CGI programs or hosting an application server needs. */
static const char *const worker_denied[] = {
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime",
    "create_module", "delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount",
    "fsopen", "fspick", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup",
    "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mount",
    "mount_setattr", "move_mount", "name_to_handle_at", "nfsservctl", "open_by_handle_at",
    "open_tree", "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise",
    "process_vm_readv", "process_vm_writev", "quotactl", "quotactl_fd", "reboot", "request_key",
    "sethostname", "setdomainname", "setns", "settimeofday", "swapoff", "swapon", "syslog",
    "umount", "umount2", "unshare", "uselib", "userfaultfd", "vhangup",
};

static const unsigned long listener_ioctls[] = {TCGETS, FIONREAD, FIONBIO, TIOCOUTQ};
static const unsigned long namespace_flags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,
                                                CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUSER,
                                                CLONE_NEWCGROUP};

static int add_names(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number == __NR_SCMP_ERROR)
            continue;
        int e = seccomp_rule_add(f, action, number, 0);
        /* -EDOM: the call does not exist on this architecture. */
        if (e < 0 && e != -EDOM)
            return e;
    }
    return 0;
}

/* clone3 keeps its flags where a filter cannot look: without it the library falls back to clone. */
static int hide_clone3(scmp_filter_ctx f)
{
    int number = seccomp_syscall_resolve_name("clone3");

    return number == __NR_SCMP_ERROR ? 0
                                     : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), number, 0);
}

static int listener_rules(scmp_filter_ctx f)
{
    int e = add_names(f, SCMP_ACT_ALLOW, listener_calls, ARRAY_LEN(listener_calls));

    if (e == 0)
        e = hide_clone3(f);
    if (e == 0) /* what is in the rings made before: socket_batch.h; to wait there is epoll */
        e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(io_uring_enter), 2,
                             SCMP_A2(SCMP_CMP_EQ, 0),
                             SCMP_A3(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)IORING_ENTER_GETEVENTS, 0));
    if (SANITIZED) {
        if (e == 0)
            e = add_names(f, SCMP_ACT_ALLOW, sanitizer_calls, ARRAY_LEN(sanitizer_calls));
    } else {
        if (e == 0) /* threads, never processes */
            e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
        if (e == 0) /* its own limits, not another process's */
            e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                                 SCMP_A0(SCMP_CMP_EQ, 0));
        for (size_t i = 0; e == 0 && i < ARRAY_LEN(listener_ioctls); i++)
            e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                 SCMP_A1(SCMP_CMP_EQ, listener_ioctls[i]));
    }
    if (e == 0) /* the system log; sockets of the network come from the supervisor */
        e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    return e;
}

static int worker_rules(scmp_filter_ctx f)
{
    uint32_t deny = SCMP_ACT_ERRNO(EPERM);
    int e = add_names(f, deny, worker_denied, ARRAY_LEN(worker_denied));

    if (e == 0 && !SANITIZED)
        e = seccomp_rule_add(f, deny, SCMP_SYS(ptrace), 0);
    for (size_t i = 0; e == 0 && i < ARRAY_LEN(namespace_flags); i++)
        e = seccomp_rule_add(f, deny, SCMP_SYS(clone), 1,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, namespace_flags[i], namespace_flags[i]));
    return e == 0 ? hide_clone3(f) : e;
}

static bool load(uint32_t otherwise, int (*rules)(scmp_filter_ctx))
{
    scmp_filter_ctx f = seccomp_init(otherwise);

    if (!f) {
        errno = ENOMEM;
        return false;
    }
    int e = rules(f);

    if (e == 0)
        e = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    if (e == 0)
        e = seccomp_load(f);
    seccomp_release(f);
    errno = -e;
    return e == 0;
}

static bool drop_capabilities(void)
{
    cap_t none = cap_init();
    bool ok = none && cap_set_proc(none) == 0;

    if (none)
        cap_free(none);
    return ok;
}

bool sandbox_listener(void)
{
    if (!drop_capabilities() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return false;
    return load(SCMP_ACT_KILL_PROCESS, listener_rules);
}

bool sandbox_worker(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return false;
    return load(SCMP_ACT_ALLOW, worker_rules);
}
