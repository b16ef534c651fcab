/* SPDX-License-Identifier: MIT
 * The list of counters, and counters as text. */
#include "counters.h"
#include <dtlslisten/dtlslisten.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const dtlsl__counter_info infos[DTLSL__N_COUNTERS] = {
#define X(id, kind, name, text) {name, text, DTLSL__##kind},
    DTLSL__COUNTERS(X)
#undef X
};

/* A counter of a strategy by its name in JSON. */
#define MORE_NAME "cookie_%s_%s"

enum {
    /* With a strategy's name, at most 32, it fits DTLSL_COUNTER_NAME_MAX. */
    MORE_MAX = 64
};

/* What counters stand in the text. */
typedef struct source {
    const dtlsl__counters *counters;
    dtlsl__counters_more *more;
    const void *from;
} source;

/* A counter of a strategy. */
typedef struct more_counter {
    const char *strategy;
    const char *name;
    uint64_t value;
} more_counter;

/* Text that grows in a buffer; 'failed' once something did not fit. */
typedef struct writer {
    char *buf;
    size_t cap;
    size_t len;
    int failed;
} writer;

const dtlsl__counter_info *
dtlsl__counter_at(size_t index)
{
    return index < DTLSL__N_COUNTERS ? &infos[index] : NULL;
}

int32_t
dtlsl__counter_find(const char *name)
{
    for (int32_t i = 0; name != NULL && i < DTLSL__N_COUNTERS; i++)
        if (strcmp(infos[i].name, name) == 0)
            return i;
    return -1;
}

void
dtlsl__counters_add(dtlsl__counters *sum, const dtlsl__counters *part)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++)
        sum->n[i] += part->n[i];
}

__attribute__((format(printf, 2, 3))) static void
print(writer *w, const char *format, ...)
{
    va_list args;
    int len;

    if (w->failed)
        return;
    va_start(args, format);
    len = vsnprintf(w->buf + w->len, w->cap - w->len, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= w->cap - w->len)
        w->failed = 1;
    else
        w->len += (size_t)len;
}

/* A plugin's name must not break the text. */
static int
is_plain(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return len >= 1 && len <= MORE_MAX && name[len] == '\0';
}

/* The strategies' counter number *at or the next one with a plain name; 0
 * behind the last. Names of strategies are vetted when they are loaded. */
static int
next_more(const source *src, size_t *at, more_counter *found)
{
    while (src->more != NULL && src->more(src->from, (*at)++, &found->strategy,
                                          &found->name, &found->value) >= 0)
        if (is_plain(found->name))
            return 1;
    return 0;
}

/* Each counter of the strategies with 'format', which takes the strategy, its
 * name and a number. */
__attribute__((format(printf, 3, 0))) static void
print_more(writer *w, const source *src, const char *format)
{
    more_counter found;

    for (size_t at = 0; next_more(src, &at, &found);)
        print(w, format, found.strategy, found.name, found.value);
}

static void
print_json(writer *w, const source *src)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++)
        print(w, "%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", infos[i].name,
              src->counters->n[i]);
    print_more(w, src, ",\"" MORE_NAME "\":%" PRIu64);
    print(w, "}");
}

static void
print_prometheus(writer *w, const source *src)
{
    static const char more[] = "dtlslisten_cookie_strategy_total";

    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++) {
        const dtlsl__counter_info *info = &infos[i];
        int is_gauge = info->kind == DTLSL__GAUGE;
        const char *suffix = is_gauge ? "" : "_total";

        print(w, "# HELP dtlslisten_%s%s %s\n", info->name, suffix,
              info->text);
        print(w, "# TYPE dtlslisten_%s%s %s\n", info->name, suffix,
              is_gauge ? "gauge" : "counter");
        print(w, "dtlslisten_%s%s %" PRIu64 "\n", info->name, suffix,
              src->counters->n[i]);
    }
    if (src->more == NULL)
        return;
    print(w, "# HELP %s counters of cookie strategies\n", more);
    print(w, "# TYPE %s counter\n", more);
    print_more(w, src,
               "dtlslisten_cookie_strategy_total"
               "{strategy=\"%s\",counter=\"%s\"} %" PRIu64 "\n");
}

int32_t
dtlsl__counters_text(const dtlsl__counters *counters,
                     dtlsl__counters_more *more, const void *from,
                     int32_t format, char *buf, size_t buf_len)
{
    source src = {counters, more, from};
    writer w = {buf, buf_len, 0, 0};

    if (buf == NULL || buf_len == 0)
        return DTLSL_ERR_SPACE;
    if (format == DTLSL_FORMAT_JSON)
        print_json(&w, &src);
    else if (format == DTLSL_FORMAT_PROMETHEUS)
        print_prometheus(&w, &src);
    else
        return DTLSL_ERR_ARGUMENT;
    return w.failed ? DTLSL_ERR_SPACE : (int32_t)w.len;
}

int32_t
dtlsl__counters_at(const dtlsl__counters *counters, dtlsl__counters_more *more,
                   const void *from, size_t index, char *name, size_t name_len,
                   uint64_t *value)
{
    source src = {counters, more, from};
    more_counter found;
    size_t at = 0;
    int len;

    if (index < DTLSL__N_COUNTERS) {
        *value = counters->n[index];
        len = snprintf(name, name_len, "%s", infos[index].name);
    } else {
        for (size_t i = DTLSL__N_COUNTERS; i <= index; i++)
            if (!next_more(&src, &at, &found))
                return DTLSL_ERR_OPTION;
        *value = found.value;
        len = snprintf(name, name_len, MORE_NAME, found.strategy, found.name);
    }
    return len < 0 || (size_t)len >= name_len ? DTLSL_ERR_SPACE : len;
}
