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

/* What counters stand in the text. */
typedef struct source {
    const dtlsl__counters *counters;
    dtlsl__counters_more *more;
    const void *from;
} source;

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
    return name[0] != '\0' &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

/* Each counter of the strategies with 'format', which takes the strategy, its
 * name and a number. Names of strategies are vetted when they are loaded. */
__attribute__((format(printf, 3, 0))) static void
print_more(writer *w, const source *src, const char *format)
{
    const char *strategy, *name;
    uint64_t value;

    for (size_t i = 0; src->more != NULL &&
                       src->more(src->from, i, &strategy, &name, &value) >= 0;
         i++)
        if (is_plain(name))
            print(w, format, strategy, name, value);
}

static void
print_json(writer *w, const source *src)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++)
        print(w, "%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", infos[i].name,
              src->counters->n[i]);
    print_more(w, src, ",\"cookie_%s_%s\":%" PRIu64);
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
