#include "diagnose/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "diagnose/files.h"
#include "diagnose/model_build.h"
#include "diagnose/tally.h"
#include "base/poison.h"

enum { THREADS_MAX = 64, PROGRESS_MS = 100, WORK_OF_THREAD = 1 << 20 };

struct scan {
    const struct scan_options *options;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something new to read, or no more of it */
    pthread_cond_t ended;   /* running is 0 */
    struct file_list files; /* under lock, as is all below */
    size_t next;            /* the next file nobody has taken */
    size_t chunked;         /* the file whose stretches are given out, or SIZE_MAX */
    unsigned opening;       /* threads that may still bring stretches or files */
    unsigned running;
    _Atomic uint64_t done;
    uint64_t total;
    uint32_t step; /* 1: everything is read */
};

struct worker {
    struct scan *scan;
    struct tally *tally;
    struct unit_buffer buffer;
    pthread_t thread;
};

/* What a stream in progress is looked after by. */
struct watch {
    struct scan *scan;
    struct scan_file *file;
    struct source *source;
    uint64_t reported;
    bool is_cut;
};

static void set_problem(struct scan_file *f, char *why)
{
    if (f->problem)
        free(why);
    else
        f->problem = why;
}

static void make_units(struct scan_file *f, uint32_t n)
{
    f->units = xcalloc(n, sizeof(*f->units));
    f->unit_n = n;
    for (uint32_t i = 0; i < n; i++)
        unit_stats_init(&f->units[i]);
}

static struct sink make_sink(struct worker *w, struct scan_file *f, size_t file, uint32_t unit)
{
    w->tally->unit = (uint64_t)file << 32 | unit;
    return (struct sink){.tally = w->tally,
                         .filter = &w->scan->options->filter,
                         .stats = &f->units[unit],
                         .site = f->site};
}

/* ---- one file ---- */

static void report_consumed(struct watch *watch)
{
    uint64_t now = source_consumed(watch->source);

    atomic_fetch_add(&watch->scan->done, now - watch->reported);
    watch->reported = now;
}

/* The members of an archive together may not expand absurdly either. */
static bool is_too_much(void *arg, uint64_t bytes)
{
    struct watch *watch = arg;
    struct scan *s = watch->scan;

    report_consumed(watch);
    if (!watch->file->is_member)
        return false;
    pthread_mutex_lock(&s->lock);
    struct scan_file *archive = s->files.at[watch->file->archive];
    archive->archive_given += bytes;
    watch->is_cut = archive->archive_given >= SOURCE_RATIO_FROM &&
                    archive->archive_given / SOURCE_RATIO_MAX > archive->size;
    pthread_mutex_unlock(&s->lock);
    return watch->is_cut;
}

static void read_front_to_back(struct worker *w, size_t file, struct source *source,
                               struct text_stream *text, struct str sniffed)
{
    struct scan_file *f = w->scan->files.at[file];
    struct watch watch = {.scan = w->scan, .file = f, .source = source};
    struct sink sink;

    make_units(f, 1);
    f->units[0].kind = LOG_UNKNOWN;
    sink = make_sink(w, f, file, 0);
    char *why = unit_read_stream(text, sniffed, f->kind, &sink, &w->buffer, is_too_much, &watch);

    report_consumed(&watch);
    if (why)
        set_problem(f, why);
    if (watch.is_cut)
        set_problem(f, xasprintf("the archive's members expand more than %d-fold: reading stopped",
                                 SOURCE_RATIO_MAX));
}

static void give_members(struct scan *s, size_t file)
{
    struct scan_file *f = s->files.at[file];
    struct zip_member *members;
    size_t n;
    char *why = NULL;

    if (!zip_list(f->open_path, &members, &n, &why)) {
        set_problem(f, why);
        n = 0;
    }
    pthread_mutex_lock(&s->lock);
    f->is_archive = !f->problem;
    for (size_t i = 0; i < n; i++)
        files_add_member(&s->files, file, &members[i]);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    free(members);
}

/* A large plain file: its stretches are for everybody. */
static bool give_stretches(struct scan *s, size_t file, struct source *source,
                           const struct text_stream *text)
{
    struct scan_file *f = s->files.at[file];
    uint64_t size;
    int fd = source_plain_fd(source, &size);

    if (fd < 0 || size < CHUNKED_FROM || text->encoding != ENCODING_UTF8 || f->kind == LOG_ANCM ||
        f->kind == LOG_HAR || f->kind == LOG_FREB || f->kind == LOG_EVENTS ||
        size / CHUNK_SIZE >= UINT32_MAX)
        return false;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    f->source = source;
    f->chunks = (struct chunked_file){.fd = fd,
                                      .size = size,
                                      .kind = f->kind,
                                      .bom = text->bom,
                                      .step = s->step,
                                      .n = (uint32_t)((size + CHUNK_SIZE - 1) / CHUNK_SIZE)};
    f->chunks.heads = xcalloc(f->chunks.n, sizeof(*f->chunks.heads));
    make_units(f, f->chunks.n);
    pthread_mutex_lock(&s->lock);
    while (s->chunked != SIZE_MAX) /* one at a time keeps them in order */
        pthread_cond_wait(&s->changed, &s->lock);
    s->chunked = file;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return true;
}

static bool is_padding(const char *p, size_t n)
{
    return n > 0 && p[0] == '\0' && memcmp(p, p + 1, n - 1) == 0;
}

/* The beginning; padding of NULs before it is skipped and counted. */
static size_t sniff_read(struct text_stream *text, char *out, uint64_t *ret_nuls)
{
    size_t n = 0, got;

    *ret_nuls = 0;
    while (n + 64 <= SNIFF_SIZE && (got = text_stream_read(text, out + n, SNIFF_SIZE - n)) != 0) {
        n += got;
        if (is_padding(out, n) && n + 64 > SNIFF_SIZE) {
            *ret_nuls += n;
            n = 0;
        }
    }
    return n;
}

static void read_file(struct worker *w, size_t file)
{
    struct scan *s = w->scan;
    struct text_stream text;
    bool is_dated;
    uint64_t nuls;
    const char *why_not;
    char *why = NULL, head[SNIFF_SIZE];

    pthread_mutex_lock(&s->lock);
    struct scan_file *f = s->files.at[file];
    pthread_mutex_unlock(&s->lock);
    if (f->problem)
        return;
    struct source *source = f->is_member ? source_open_member(f->open_path, &f->member, &why)
                                         : source_open(f->open_path, &why);
    if (!source) {
        set_problem(f, why);
        return;
    }
    if (source_is_zip(source) && s->step > 1) {
        source_close(source);
        return;
    }
    if (source_is_zip(source)) {
        source_close(source);
        give_members(s, file);
        return;
    }
    text_stream_init(&text, source);
    struct str sniffed = str_n(head, sniff_read(&text, head, &nuls));

    f->kind = sniff(sniffed, &is_dated, &why_not);
    if (f->kind == LOG_UNKNOWN) {
        f->is_no_log = !source_problem(source);
        set_problem(f, xstrdup(source_problem(source) ? source_problem(source) : why_not));
    } else if (is_dated && give_stretches(s, file, source, &text)) {
        return;
    } else if (s->step == 1 || f->size < CHUNKED_FROM) {
        /* Of a sample, large files that can't be read in stretches are no part. */
        read_front_to_back(w, file, source, &text, sniffed);
        f->units[0].nul_bytes += nuls;
    }
    source_close(source);
}

/* ---- the threads ---- */

static bool is_growing(void *arg)
{
    const struct scan_file *f = arg;

    return source_has_grown(f->source);
}

static void read_stretch(struct worker *w, size_t file, struct scan_file *f, uint32_t i)
{
    struct scan *s = w->scan;
    struct sink sink = make_sink(w, f, file, i);
    char *why = unit_read_chunk(&f->chunks, i, &sink, &w->buffer, is_growing, f);

    atomic_fetch_add(&s->done, (uint64_t)CHUNK_SIZE);
    pthread_mutex_lock(&s->lock);
    if (why)
        set_problem(f, why);
    if (++f->chunks_done == (f->chunks.n + s->step - 1) / s->step)
        f->source = source_close(f->source);
    pthread_mutex_unlock(&s->lock);
}

/* A sample has every step-th of the files that are read whole, and the first. */
static bool is_left_out(const struct scan *s, size_t file)
{
    return s->files.at[file]->size < CHUNKED_FROM && file % s->step != 0;
}

enum task { TASK_NONE, TASK_FILE, TASK_STRETCH };

/* With the lock held. Stretches first: their file is open, and their order is that of the input. */
static enum task next_task(struct scan *s, size_t *ret_file, uint32_t *ret_chunk)
{
    for (;;) {
        if (s->chunked != SIZE_MAX) {
            struct scan_file *f = s->files.at[s->chunked];
            *ret_file = s->chunked;
            *ret_chunk = f->next_chunk;
            f->next_chunk += s->step;
            if (f->next_chunk >= f->chunks.n) {
                s->chunked = SIZE_MAX;
                pthread_cond_broadcast(&s->changed);
            }
            return TASK_STRETCH;
        }
        while (s->next < s->files.n) {
            *ret_file = s->next++;
            if (!is_left_out(s, *ret_file))
                return TASK_FILE;
        }
        if (s->opening == 0)
            return TASK_NONE;
        pthread_cond_wait(&s->changed, &s->lock);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct scan *s = w->scan;
    size_t file;
    uint32_t chunk;
    enum task task;

    pthread_mutex_lock(&s->lock);
    while ((task = next_task(s, &file, &chunk)) != TASK_NONE) {
        struct scan_file *f = s->files.at[file];
        s->opening += task == TASK_FILE;
        pthread_mutex_unlock(&s->lock);
        if (task == TASK_FILE)
            read_file(w, file);
        else
            read_stretch(w, file, f, chunk);
        pthread_mutex_lock(&s->lock);
        if (task != TASK_FILE)
            continue; /* nobody waits for a stretch that is done */
        s->opening--;
        pthread_cond_broadcast(&s->changed);
    }
    if (--s->running == 0)
        pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* No more than there is work for: fewer threads have larger tables. */
static unsigned thread_count(const struct scan_options *o, uint64_t total)
{
    int n = get_nprocs();
    unsigned threads = o->threads ? o->threads : n > 0 ? (unsigned)n : 1;

    if (!o->threads && total / WORK_OF_THREAD + 1 < threads)
        threads = (unsigned)(total / WORK_OF_THREAD) + 1;
    return threads > THREADS_MAX ? THREADS_MAX : threads;
}

static uint32_t share_of(uint32_t all, unsigned threads, uint32_t least)
{
    return all / threads > least ? all / threads : least;
}

/* Tables shrink with the number of threads, so that all together stay within the same memory. */
static struct tally_sizes sizes_for(unsigned threads, const struct scan_options *o)
{
    return (struct tally_sizes){
        .urls = share_of(65536, threads, 4096),
        .clients = share_of(131072, threads, 8192),
        .pairs = share_of(262144, threads, 16384),
        .keys = share_of(24000, threads, 512),
        .paces = share_of(16384, threads, 256),
        .list_max = o->filter.lists ? (o->list_max > LIST_MAX ? LIST_MAX : o->list_max) : 0,
    };
}

static void wait_for_all(struct scan *s)
{
    uint64_t start = clock_mono_ns();

    pthread_mutex_lock(&s->lock);
    while (s->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PROGRESS_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (pthread_cond_timedwait(&s->ended, &s->lock, &until) != ETIMEDOUT ||
            !s->options->on_progress)
            continue;
        struct scan_progress p = {.done = atomic_load(&s->done),
                                  .total = s->total,
                                  .elapsed_ns = clock_mono_ns() - start};
        pthread_mutex_unlock(&s->lock);
        s->options->on_progress(s->options->arg, &p);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

static struct tally *merge_all(struct worker *workers, unsigned n, const struct tally_sizes *each)
{
    struct tally_sizes sum = *each;

    for (unsigned i = 0; i < n; i++)
        tally_settle(workers[i].tally);
    if (n == 1)
        return workers[0].tally;
    sum.urls *= n;
    sum.clients *= n;
    sum.pairs *= n;
    sum.keys *= n;
    sum.paces *= n;
    struct tally *all = tally_new(&sum);

    for (unsigned i = 0; i < n; i++) {
        tally_merge(all, workers[i].tally);
        workers[i].tally = tally_free(workers[i].tally);
    }
    return all;
}

/* After `started` threads the next one, w, could not be started. Gives how many workers there are.
 */
static unsigned start_fewer(struct scan *s, struct worker *w, unsigned started, unsigned threads)
{
    pthread_mutex_lock(&s->lock);
    s->running -= threads - started;
    s->running += started == 0;
    pthread_mutex_unlock(&s->lock);
    w->thread = 0;
    if (started) {
        w->tally = tally_free(w->tally);
        return started;
    }
    work(w);
    return 1;
}

uint64_t scan_size(const char *const *paths, size_t n)
{
    struct file_list files = {0};
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        files_add(&files, paths[i]);
    files_add_links(&files);
    for (size_t i = 0; i < files.n; i++)
        sum += files.at[i]->size;
    files_fini(&files);
    return sum;
}

static uint32_t sample_step(const struct scan *s)
{
    uint64_t wanted = s->options->sample_bytes;

    if (wanted == 0 || s->total <= wanted)
        return 1;
    return s->total / wanted < UINT32_MAX / 2 ? (uint32_t)(s->total / wanted) + 1 : UINT32_MAX / 2;
}

/* Lines of a sample are counted from the stretch, not from the file. */
static void forget_lines(struct model *m)
{
    for (size_t i = 0; i < m->status_n; i++)
        m->statuses[i].samples.n = 0;
    for (size_t i = 0; i < m->reason_n; i++)
        m->reasons[i].samples.n = 0;
    for (size_t i = 0; i < m->file_n; i++)
        m->files[i].misfit_n = 0;
    m->slow_requests.n = m->requests_listed.n = m->ancm_failures.n = 0;
    m->listener_answers.n = 0;
}

struct model *scan_paths(const char *const *paths, size_t n, const struct scan_options *options,
                         struct arena *arena)
{
    struct scan s = {.options = options, .chunked = SIZE_MAX};
    struct worker workers[THREADS_MAX] = {0};

    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.changed, NULL);
    pthread_cond_init(&s.ended, NULL);
    for (size_t i = 0; i < n; i++)
        files_add(&s.files, paths[i]);
    files_add_links(&s.files);
    for (size_t i = 0; i < s.files.n; i++)
        s.total += s.files.at[i]->size;
    unsigned threads = thread_count(options, s.total);
    struct tally_sizes sizes = sizes_for(threads, options);

    s.step = sample_step(&s);
    s.running = threads;
    for (unsigned i = 0; i < threads; i++) {
        workers[i].scan = &s;
        workers[i].tally = tally_new(&sizes);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0)
            continue;
        /* The system allows no more: those that run do the work, or this one alone. */
        threads = start_fewer(&s, &workers[i], i, threads);
        break;
    }
    wait_for_all(&s);
    for (unsigned i = 0; i < threads; i++) {
        if (workers[i].thread)
            pthread_join(workers[i].thread, NULL);
        free(workers[i].buffer.p);
    }
    struct tally *all = merge_all(workers, threads, &sizes);
    struct model *m = model_build(all, &s.files, options->top, arena);

    struct str *given = arena_zalloc(arena, (n ? n : 1) * sizeof(*given));

    for (size_t i = 0; i < n; i++)
        given[i] = arena_dup(arena, str_z(paths[i]));
    m->paths = given;
    m->path_n = n;
    m->filter = options->filter;
    m->is_filtered = options->filter.is_active;
    m->is_sampled = s.step > 1;
    if (m->is_sampled)
        forget_lines(m);
    tally_free(all);
    files_fini(&s.files);
    pthread_cond_destroy(&s.changed);
    pthread_cond_destroy(&s.ended);
    pthread_mutex_destroy(&s.lock);
    return m;
}
