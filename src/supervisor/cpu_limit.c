#include "supervisor/cpu_limit.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "supervisor/internal.h"
#include "base/poison.h"

enum { LOOK_MS = 1000, WHOLE = 100000, USUAL_WEIGHT = 100 };

static const char shut_reason[] = "AppShutdown";

uint64_t cpu_limit_budget_us(uint32_t limit, uint64_t interval_ms, unsigned processors)
{
    /* At most a day times 100 % of 2^16 processors: no overflow. */
    return interval_ms * processors * limit / (WHOLE / 1000);
}

static unsigned count_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > UINT16_MAX ? UINT16_MAX : (unsigned)n;
}

/* ---- the account ---------------------------------------------------------------------------- */

/* User and system time of a process and of the children it has waited for: fields 14 to 17 of its
 * stat. The second field may hold anything, so counting begins behind its last bracket. */
static uint64_t process_us(pid_t pid)
{
    enum { FIRST = 14, LAST = 17 };
    char path[48], line[1024];
    uint64_t sum = 0, n, hz = (uint64_t)sysconf(_SC_CLK_TCK);

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(line, sizeof(line), f);

    if (f)
        fclose(f);
    if (!ok)
        return 0;
    struct str text = str_z(line), field;
    size_t bracket = str_rfind_char(text, ')');
    struct str rest = bracket == SIZE_MAX ? STR_NULL : str_sub(text, bracket + 2, text.n);

    for (int i = 3; i <= LAST && str_split(&rest, ' ', &field); i++)
        if (i >= FIRST && str_u64(field, UINT64_MAX / 8, &n))
            sum += n;
    return sum > UINT64_MAX / 1000000 ? 0 : sum * 1000000 / hz;
}

static uint64_t used_us(const struct pool *p)
{
    uint64_t sum = p->cpu.ended_us, by_group;

    if (p->cpu.group.path && cgroup_cpu_us(&p->cpu.group, &by_group))
        return by_group;
    for (const struct worker *w = p->workers; w; w = w->next)
        sum += process_us(w->pid);
    return sum;
}

static void begin_window(struct pool *p)
{
    p->cpu.window_ms = loop_now_ms(p->s->loop);
    p->cpu.used_before_us = used_us(p);
    p->cpu.is_over = false;
}

/* ---- passing the limit ---------------------------------------------------------------------- */

static bool is_shut(const struct pool *p)
{
    return !p->started && strcmp(p->reason, shut_reason) == 0;
}

static void kill_workers(struct pool *p)
{
    pool_stop(p, shut_reason);
    for (struct worker *w = p->workers; w; w = w->next)
        if (w->state != WORKER_ORPHANED)
            worker_kill(w);
}

static void pass_limit(struct pool *p, uint64_t used, uint64_t budget)
{
    p->cpu.is_over = true;
    SUP_EVENT(p->s, EV_WAS_CPU_LIMIT,
              json_pack("{s:s, s:I, s:I, s:I}", "pool", p->name, "used_ms",
                        (json_int_t)(used / 1000), "allowed_ms", (json_int_t)(budget / 1000),
                        "reset_ms", (json_int_t)p->conf->cpu_reset_interval_ms),
              p->name);
    if (p->conf->cpu_action == CONFIG_CPU_KILL)
        kill_workers(p);
}

static void reopen(struct pool *p)
{
    SUP_EVENT(p->s, EV_CND_CPU_RESET, json_pack("{s:s}", "pool", p->name), p->name);
    pool_reopen(p);
}

static void on_look(struct loop_timer *t)
{
    struct pool *p = CONTAINER_OF(t, struct pool, cpu.look);
    uint64_t now = loop_now_ms(p->s->loop), used;
    uint64_t budget =
        cpu_limit_budget_us(p->conf->cpu_limit, p->conf->cpu_reset_interval_ms, count_processors());

    loop_timer_set(p->s->loop, t, now + LOOK_MS);
    if (p->s->stopping)
        return;
    if (now - p->cpu.window_ms >= p->conf->cpu_reset_interval_ms) {
        begin_window(p);
        if (is_shut(p))
            reopen(p);
        return;
    }
    if (p->cpu.is_over)
        return;
    used = used_us(p);
    used = used > p->cpu.used_before_us ? used - p->cpu.used_before_us : 0;
    if (used > budget)
        pass_limit(p, used, budget);
}

/* ---- throttling ----------------------------------------------------------------------------- */

static void say_no_group(struct pool *p, const char *why)
{
    if (!p->cpu.group_failed)
        SUP_EVENT(p->s, EV_CND_NO_CGROUP, json_pack("{s:s}", "pool", p->name), p->name, why);
    p->cpu.group_failed = true;
}

static bool throttles(const struct config_pool *conf)
{
    return conf->cpu_limit && (conf->cpu_action == CONFIG_CPU_THROTTLE ||
                               conf->cpu_action == CONFIG_CPU_THROTTLE_UNDER_LOAD);
}

/* Of the 100 ms of one period, on all processors; the kernel takes no less than 1 ms. */
static uint64_t quota_us(uint32_t limit)
{
    uint64_t us = (uint64_t)CGROUP_PERIOD_US * count_processors() * limit / WHOLE;

    return us < 1000 ? 1000 : us;
}

static unsigned weight_of(uint32_t limit)
{
    unsigned weight = (unsigned)((uint64_t)USUAL_WEIGHT * limit / WHOLE);

    return weight < 1 ? 1 : weight;
}

static void throttle(struct pool *p, const char *folder)
{
    const struct config_pool *conf = p->conf;
    bool hard = throttles(conf) && conf->cpu_action == CONFIG_CPU_THROTTLE;
    bool soft = throttles(conf) && conf->cpu_action == CONFIG_CPU_THROTTLE_UNDER_LOAD;

    if (!throttles(conf) && !p->cpu.is_throttled)
        return;
    if (!p->cpu.group.path || (throttles(conf) && !cgroup_enable_cpu(folder, "candor-server")) ||
        !cgroup_limit_cpu(&p->cpu.group, hard ? quota_us(conf->cpu_limit) : UINT64_MAX) ||
        !cgroup_weigh_cpu(&p->cpu.group, soft ? weight_of(conf->cpu_limit) : USUAL_WEIGHT)) {
        if (throttles(conf))
            say_no_group(p, strerror(errno));
        return;
    }
    p->cpu.is_throttled = throttles(conf);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void make_group(struct pool *p, const char *folder)
{
    char name[64];

    if (p->cpu.group.path || !folder)
        return;
    snprintf(name, sizeof(name), "candor-%d-%u", (int)getpid(), ++p->s->last_group);
    if (!cgroup_make(&p->cpu.group, folder, name))
        return;
    for (const struct worker *w = p->workers; w; w = w->next)
        if (!cgroup_add(&p->cpu.group, w->pid) && errno != ESRCH) {
            int e = errno;
            cgroup_remove(&p->cpu.group);
            errno = e;
            return;
        }
}

void cpu_limit_update(struct pool *p)
{
    const struct config_pool *conf = p->conf;
    bool was_watched = p->cpu.is_watched;
    _cleanup_free_ char *folder = conf->cpu_limit ? cgroup_own() : NULL;

    p->cpu.is_watched = conf->cpu_limit && conf->cpu_reset_interval_ms && !throttles(conf);
    if (conf->cpu_limit)
        make_group(p, folder);
    throttle(p, folder);
    p->cpu.look.on_time = on_look;
    if (p->cpu.is_watched && !was_watched) {
        begin_window(p);
        loop_timer_set(p->s->loop, &p->cpu.look, loop_now_ms(p->s->loop) + LOOK_MS);
    } else if (!p->cpu.is_watched) {
        loop_timer_clear(p->s->loop, &p->cpu.look);
        if (is_shut(p))
            reopen(p);
    }
}

static void set_affinity(const struct config_pool *conf, pid_t pid)
{
    cpu_set_t set;

    if (!conf->smp_affinitized)
        return;
    CPU_ZERO(&set);
    for (unsigned i = 0; i < 64; i++)
        if (conf->smp_affinity_mask >> i & 1)
            CPU_SET(i, &set);
    /* A mask without any processor of this machine is refused, and changes nothing. */
    (void)sched_setaffinity(pid, sizeof(set), &set);
}

void cpu_limit_add(struct pool *p, pid_t pid)
{
    set_affinity(p->conf, pid);
    if (p->cpu.group.path && !cgroup_add(&p->cpu.group, pid)) {
        if (throttles(p->conf))
            say_no_group(p, strerror(errno));
        cgroup_remove(&p->cpu.group);
        cpu_limit_reset(p); /* another account, which begins now */
    }
}

void cpu_limit_ended(struct pool *p, uint64_t us)
{
    p->cpu.ended_us += us;
}

void cpu_limit_reset(struct pool *p)
{
    if (p->cpu.is_watched)
        begin_window(p);
}

void cpu_limit_fini(struct pool *p)
{
    loop_timer_clear(p->s->loop, &p->cpu.look);
    cgroup_remove(&p->cpu.group);
}
