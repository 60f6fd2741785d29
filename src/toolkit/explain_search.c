/* Free words over all texts, and names that are nearly the one asked for. */
#include "toolkit/explain.h"

#include <stdlib.h>

#include "base/poison.h"

/* How much a word counts in a text, by what the text is. */
enum {
    WEIGHT_CODE = 60,
    WEIGHT_TITLE = 24,
    WEIGHT_MEANING = 12,
    WEIGHT_CAUSE = 9,
    WEIGHT_OTHER = 5,
    WEIGHT_PHRASE = 2, /* times, when all words stand together */
    SUGGEST_BYTES = 64,
    STEM_MIN = 4, /* "cors" is no form of "core" */
};

static bool is_word_char(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c);
}

/* 3: the word as a whole, 2: the start of one, 1: inside one, 0: not there. */
static int match(struct str text, struct str word)
{
    int best = 0;

    for (size_t from = 0; from + word.n <= text.n && best < 3;) {
        size_t at = str_ifind(str_sub(text, from, text.n), word);

        if (at == SIZE_MAX)
            break;
        at += from;

        bool starts = at == 0 || !is_word_char(text.p[at - 1]);
        bool ends = at + word.n == text.n || !is_word_char(text.p[at + word.n]);
        int level = starts && ends ? 3 : starts ? 2 : 1;

        if (level > best)
            best = level;
        from = at + 1;
    }
    /* Short words are everywhere inside others. */
    return best == 1 && word.n < 4 ? 0 : best;
}

/* The word without an ending, if enough is left of it. */
static struct str stem(struct str word)
{
    static const char *const endings[] = {"ing", "ed", "es", "s"};

    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        struct str ending = str_z(endings[i]);

        if (word.n >= ending.n + STEM_MIN && str_iends(word, ending))
            return str_sub(word, 0, word.n - ending.n);
    }
    return word;
}

static int score_text(const char *text, struct str word, int weight)
{
    struct str s = str_z(text);
    int level = match(s, word);

    if (level == 0 && s.n) {
        struct str shorter = stem(word);

        level = shorter.n < word.n && match(s, shorter) >= 2;
    }
    return level * weight;
}

static int greater(int a, int b)
{
    return a > b ? a : b;
}

static int score_list(const char *const *list, struct str word, int weight)
{
    int best = 0;

    for (size_t i = 0; list[i]; i++)
        best = greater(best, score_text(list[i], word, weight));
    return best;
}

/* The best place of a word (or of several, as a phrase) in an entry; 0: it is nowhere. */
static int score_word(const struct explain_entry *e, struct str word)
{
    int best = 0;

    if (str_ieq(str_z(e->code), word) || (e->name && str_ieq(str_z(e->name), word)))
        return 4 * WEIGHT_CODE;
    best = greater(best, score_text(e->code, word, WEIGHT_TITLE));
    best = greater(best, score_text(e->name, word, WEIGHT_MEANING));
    best = greater(best, score_text(e->title, word, WEIGHT_TITLE));
    best = greater(best, score_text(e->phrase, word, WEIGHT_MEANING));
    best = greater(best, score_text(e->meaning, word, WEIGHT_MEANING));
    best = greater(best, score_list(e->causes, word, WEIGHT_CAUSE));
    best = greater(best, score_text(e->when, word, WEIGHT_CAUSE));
    best = greater(best, score_text(e->note, word, WEIGHT_OTHER));
    best = greater(best, score_text(e->component, word, WEIGHT_OTHER));
    best = greater(best, score_text(e->reproduce, word, WEIGHT_OTHER));
    best = greater(best, score_text(e->command, word, WEIGHT_OTHER));
    best = greater(best, score_list(e->remedies, word, WEIGHT_OTHER));
    best = greater(best, score_list(e->on_windows, word, WEIGHT_OTHER));
    best = greater(best, score_list(e->on_candor, word, WEIGHT_OTHER));
    best = greater(best, score_list(e->settings, word, WEIGHT_OTHER));
    best = greater(best, score_list(e->sources, word, 1));
    best = greater(best, score_list(e->versions, word, 1));
    return best;
}

/* Most people mean HTTP; those who mean FTP say so. */
static int weigh_kind(const struct explain_entry *e, int score, bool ftp_is_meant)
{
    switch (e->kind) {
    case EXPLAIN_HTTP:
        return score + 6;
    case EXPLAIN_HTTPERR:
    case EXPLAIN_PARAMETER:
        return score + 4;
    case EXPLAIN_WIN32:
    case EXPLAIN_HRESULT:
        /* What the number means by itself says less than the status it comes with. */
        return score / 2 + 2;
    case EXPLAIN_FTP:
        return ftp_is_meant ? score : score / 2 + 1;
    case EXPLAIN_EVENT:
    case EXPLAIN_FIELD:
    case EXPLAIN_KIND_COUNT:
        break;
    }
    return score;
}

/* Whether the words put together are the name: "timer header wait" is Timer_HeaderWait, "access
 * denied" ERROR_ACCESS_DENIED. */
static bool is_name(struct str code, struct str phrase)
{
    size_t i = 0;

    for (size_t k = 0; k < phrase.n; k++) {
        if (phrase.p[k] == ' ')
            continue;
        while (i < code.n && (code.p[i] == '_' || code.p[i] == '-'))
            i++;
        if (i == code.n || ascii_lower(code.p[i]) != ascii_lower(phrase.p[k]))
            return false;
        i++;
    }
    return i == code.n;
}

static bool is_name_of(const struct explain_entry *e, struct str phrase)
{
    struct str name = str_z(e->kind == EXPLAIN_WIN32 ? e->name : NULL);

    if (str_istarts(name, STR("ERROR_")))
        name = str_sub(name, 6, name.n);
    return is_name(str_z(e->code), phrase) || (name.n && is_name(name, phrase));
}

struct hit {
    const struct explain_entry *e;
    int score;
};

static int compare_hits(const void *a, const void *b)
{
    const struct hit *x = a;
    const struct hit *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->e < y->e ? -1 : x->e > y->e;
}

/* All words with one blank between them; short enough for a buffer, as the caller bounds them. */
static void join(struct buf *out, const struct str *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ' ');
        buf_str(out, words[i]);
    }
}

static int score_entry(const struct explain_entry *e, const struct str *words, size_t n,
                       struct str phrase)
{
    bool ftp_is_meant = false;
    int sum = 0;

    for (size_t i = 0; i < n; i++) {
        int score = score_word(e, words[i]);

        ftp_is_meant = ftp_is_meant || str_ieq(words[i], STR("ftp"));

        if (score == 0)
            return 0;
        sum += score;
    }
    if (n > 1)
        sum += WEIGHT_PHRASE * score_word(e, phrase);
    return weigh_kind(e, sum, ftp_is_meant) + (is_name_of(e, phrase) ? 4 * WEIGHT_CODE : 0);
}

/* "4xx": the statuses of a class, in their order. 0: it is not that. */
static int class_of(const struct str *words, size_t n)
{
    bool is_class = n == 1 && words[0].n == 3 && str_ieq(str_sub(words[0], 1, 3), STR("xx"));

    return is_class && words[0].p[0] >= '1' && words[0].p[0] <= '5' ? words[0].p[0] - '0' : 0;
}

static bool is_of_class(const struct explain_entry *e, int class)
{
    return e->kind == EXPLAIN_HTTP && e->substatus == 0 && (int)e->status / 100 == class;
}

size_t explain_search(const struct explain_catalogue *c, const struct str *words, size_t n,
                      const struct explain_entry **ret_hits, size_t max)
{
    struct hit *hits = calloc(c->n, sizeof(*hits));
    struct buf phrase;
    size_t found = 0;
    int class = class_of(words, n);

    INVARIANT(hits);
    buf_init(&phrase, EXPLAIN_OUTPUT_MAX);
    join(&phrase, words, n);
    for (size_t i = 0; i < c->n; i++) {
        const struct explain_entry *e = &c->entries[i];
        int score = class    ? is_of_class(e, class) * (1000 - (int)e->status)
                    : n == 0 ? 0
                             : score_entry(e, words, n, buf_view(&phrase));

        if (score)
            hits[found++] = (struct hit){e, score};
    }
    qsort(hits, found, sizeof(*hits), compare_hits);
    for (size_t i = 0; i < found && i < max; i++)
        ret_hits[i] = hits[i].e;
    buf_fini(&phrase);
    free(hits);
    return found;
}

/* How many letters must be changed, added or left out to make one of the other; two neighbours that
 * changed places count as one. Letter case does not count. Both fit into SUGGEST_BYTES. */
static size_t distance(struct str a, struct str b)
{
    size_t rows[3][SUGGEST_BYTES + 1];

    for (size_t j = 0; j <= b.n; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3];
        const size_t *twice = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = ascii_lower(a.p[i - 1]);
            char y = ascii_lower(b.p[j - 1]);
            size_t best = before[j - 1] + (x != y);

            if (before[j] + 1 < best)
                best = before[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) && ascii_lower(a.p[i - 2]) == y &&
                twice[j - 2] + 1 < best)
                best = twice[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

/* The distance to the nearer one of code, term and name. */
static size_t nearest(const struct explain_entry *e, struct str term)
{
    const char *names[] = {e->code, e->term, e->kind == EXPLAIN_HTTP ? NULL : e->name};
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str name = str_z(names[i]);

        if (name.n == 0 || name.n > SUGGEST_BYTES)
            continue;

        size_t d = distance(term, name);

        if (d < best)
            best = d;
    }
    return best;
}

size_t explain_suggest(const struct explain_catalogue *c, struct str term,
                       const struct explain_entry **ret_near, size_t max)
{
    size_t limit = term.n / 3 + 1;
    size_t n = 0;

    if (term.n == 0 || term.n > SUGGEST_BYTES)
        return 0;
    /* Of a sub-status that does not exist the status comes first: it lists those that do. */
    for (size_t i = 0; i < c->n && n < max; i++) {
        const struct explain_entry *e = &c->entries[i];
        struct str status = str_sub(term, 0, str_find_char(term, '.'));

        if (e->kind == EXPLAIN_HTTP && e->substatus == 0 && status.n < term.n &&
            str_eq(str_z(e->code), status))
            ret_near[n++] = e;
    }
    for (size_t d = 1; d <= limit && d <= 4; d++) {
        for (size_t i = 0; i < c->n && n < max; i++) {
            if (nearest(&c->entries[i], term) == d)
                ret_near[n++] = &c->entries[i];
        }
    }
    return n;
}
