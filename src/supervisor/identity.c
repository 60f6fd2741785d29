#include "supervisor/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "base/poison.h"

static const char prefix[] = "candor-";
static const char listener_user[] = "candor-listener";
static const char local_service_user[] = "candor-localservice";
static const char network_service_user[] = "candor-networkservice";

/* FNV-1a: the name must be the same in every run, so the process's keyed hash will not do. */
static uint32_t name_hash(struct str s)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)ascii_lower(s.p[i])) * 16777619u;
    return h;
}

static bool is_reserved(const char *user)
{
    return strcmp(user, listener_user) == 0 || strcmp(user, local_service_user) == 0 ||
           strcmp(user, network_service_user) == 0;
}

void identity_pool_user(struct str pool, char out[IDENTITY_NAME_MAX + 1])
{
    enum { HASH = 9 }; /* '-' and eight digits */
    size_t n = sizeof(prefix) - 1;
    bool exact = pool.n > 0 && n + pool.n <= IDENTITY_NAME_MAX;

    memcpy(out, prefix, n);
    for (size_t i = 0; i < pool.n && n < IDENTITY_NAME_MAX; i++) {
        char c = ascii_lower(pool.p[i]);
        bool ok = (c >= 'a' && c <= 'z') || ascii_is_digit(c) || c == '-' || c == '_';
        exact = exact && ok;
        out[n++] = ok ? c : '-';
    }
    out[n] = '\0';
    if (exact && !is_reserved(out))
        return;
    if (n > IDENTITY_NAME_MAX - HASH)
        n = IDENTITY_NAME_MAX - HASH;
    snprintf(out + n, IDENTITY_NAME_MAX + 1 - n, "-%08x", name_hash(pool));
}

static bool look_up(const char *user, struct identity *ret)
{
    struct passwd pw, *found = NULL;
    char store[4096];

    if (getpwnam_r(user, &pw, store, sizeof(store), &found) != 0 || !found)
        return false;
    *ret = (struct identity){.uid = pw.pw_uid, .gid = pw.pw_gid};
    snprintf(ret->user, sizeof(ret->user), "%s", pw.pw_name);
    snprintf(ret->home, sizeof(ret->home), "%s", pw.pw_dir);
    return true;
}

static void run_useradd(const char *user)
{
    const char *const argv[] = {
        "useradd",    "--system",          "--user-group", "--no-create-home",
        "--home-dir", "/nonexistent",      "--shell",      "/usr/sbin/nologin",
        "--comment",  "Candor web server", user,           NULL};
    const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t quiet;
    pid_t pid;

    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    /* posix_spawn changes neither list; its prototype is older than const. */
    if (posix_spawn(&pid, "/usr/sbin/useradd", &quiet, NULL, (char *const *)(uintptr_t)argv,
                    (char *const *)(uintptr_t)env) == 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    posix_spawn_file_actions_destroy(&quiet);
}

/* Another server may be making the same user, or hold the lock of the user database. */
static bool look_up_or_make(const char *user, struct identity *ret)
{
    enum { TRIES = 10, PAUSE_MS = 100 };

    for (int i = 0; i < TRIES; i++) {
        if (look_up(user, ret))
            return true;
        if (access("/usr/sbin/useradd", X_OK) < 0)
            return false;
        run_useradd(user);
        if (look_up(user, ret))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
    return false;
}

static void take_myself(struct identity *ret)
{
    struct passwd pw, *found = NULL;
    char store[4096];

    *ret = (struct identity){.uid = getuid(), .gid = getgid()};
    if (getpwuid_r(getuid(), &pw, store, sizeof(store), &found) == 0 && found) {
        snprintf(ret->user, sizeof(ret->user), "%s", pw.pw_name);
        snprintf(ret->home, sizeof(ret->home), "%s", pw.pw_dir);
    }
}

static void take_system_user(const char *user, struct identity *ret, const char **ret_why)
{
    if (!look_up_or_make(user, ret)) {
        *ret_why = "its system user is missing and cannot be made; it runs as nobody";
        if (!look_up("nobody", ret))
            *ret = (struct identity){.uid = 65534, .gid = 65534, .user = "nobody", .home = "/"};
    }
    ret->changes = true;
}

void identity_for_listener(struct identity *ret, const char **ret_why)
{
    *ret_why = NULL;
    if (geteuid() != 0)
        take_myself(ret);
    else
        take_system_user(listener_user, ret, ret_why);
}

/* "DOMAIN\user", ".\user" and "user@domain" name the local user of that name. */
static bool local_user(struct str name, char *out, size_t room)
{
    size_t slash = str_rfind_char(name, '\\'), at = str_find_char(name, '@');

    if (slash != SIZE_MAX)
        name = str_sub(name, slash + 1, name.n);
    else if (at != SIZE_MAX)
        name = str_sub(name, 0, at);
    if (!name.p || name.n == 0 || name.n >= room || memchr(name.p, '\0', name.n))
        return false;
    memcpy(out, name.p, name.n);
    out[name.n] = '\0';
    return true;
}

static enum rc take_specific_user(const struct config_pool *pool, struct identity *ret,
                                  const char **ret_why)
{
    char user[IDENTITY_NAME_MAX + 1];

    if (!local_user(pool->user_name, user, sizeof(user)) || !look_up(user, ret))
        return RC_FAIL;
    if (geteuid() == 0) {
        ret->changes = ret->uid != 0;
    } else if (ret->uid != geteuid()) {
        take_myself(ret);
        *ret_why = "only root can run a worker as somebody else; it runs as the server's user";
    }
    return RC_OK;
}

enum rc identity_for_pool(const struct config_pool *pool, struct identity *ret,
                          const char **ret_why)
{
    char user[IDENTITY_NAME_MAX + 1];

    *ret_why = NULL;
    if (pool->identity == CONFIG_IDENTITY_SPECIFIC_USER)
        return take_specific_user(pool, ret, ret_why);
    if (geteuid() != 0 || pool->identity == CONFIG_IDENTITY_LOCAL_SYSTEM) {
        take_myself(ret);
        return RC_OK;
    }
    switch (pool->identity) {
    case CONFIG_IDENTITY_LOCAL_SERVICE:
        take_system_user(local_service_user, ret, ret_why);
        break;
    case CONFIG_IDENTITY_NETWORK_SERVICE:
        take_system_user(network_service_user, ret, ret_why);
        break;
    case CONFIG_IDENTITY_LOCAL_SYSTEM:
    case CONFIG_IDENTITY_SPECIFIC_USER:
    case CONFIG_IDENTITY_APPLICATION_POOL:
        identity_pool_user(pool->name, user);
        take_system_user(user, ret, ret_why);
        break;
    }
    return RC_OK;
}

bool identity_foresee(const struct config_pool *pool, struct identity *ret)
{
    char user[IDENTITY_NAME_MAX + 1];
    const char *why;

    switch (pool->identity) {
    case CONFIG_IDENTITY_SPECIFIC_USER:
        return take_specific_user(pool, ret, &why) == RC_OK;
    case CONFIG_IDENTITY_LOCAL_SYSTEM:
        take_myself(ret);
        return true;
    case CONFIG_IDENTITY_LOCAL_SERVICE:
        snprintf(user, sizeof(user), "%s", local_service_user);
        break;
    case CONFIG_IDENTITY_NETWORK_SERVICE:
        snprintf(user, sizeof(user), "%s", network_service_user);
        break;
    case CONFIG_IDENTITY_APPLICATION_POOL:
        identity_pool_user(pool->name, user);
        break;
    }
    if (geteuid() != 0) {
        take_myself(ret);
        return true;
    }
    if (!look_up(user, ret)) {
        *ret = (struct identity){.uid = 65534, .gid = 65534, .home = "/"};
        snprintf(ret->user, sizeof(ret->user), "%s", user);
    }
    ret->changes = true;
    return true;
}

bool identity_assume(const struct identity *id)
{
    if (!id->changes)
        return true;
    return initgroups(id->user, id->gid) == 0 && setresgid(id->gid, id->gid, id->gid) == 0 &&
           setresuid(id->uid, id->uid, id->uid) == 0;
}
