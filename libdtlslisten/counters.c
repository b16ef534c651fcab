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

static void
print_json(writer *w, const dtlsl__counters *counters)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++)
        print(w, "%s\"%s\":%" PRIu64, i == 0 ? "{" : ",", infos[i].name,
              counters->n[i]);
    print(w, "}");
}

static void
print_prometheus(writer *w, const dtlsl__counters *counters)
{
    for (size_t i = 0; i < DTLSL__N_COUNTERS; i++) {
        const dtlsl__counter_info *info = &infos[i];
        int is_gauge = info->kind == DTLSL__GAUGE;
        const char *suffix = is_gauge ? "" : "_total";

        print(w, "# HELP dtlslisten_%s%s %s\n", info->name, suffix,
              info->text);
        print(w, "# TYPE dtlslisten_%s%s %s\n", info->name, suffix,
              is_gauge ? "gauge" : "counter");
        print(w, "dtlslisten_%s%s %" PRIu64 "\n", info->name, suffix,
              counters->n[i]);
    }
}

int32_t
dtlsl__counters_text(const dtlsl__counters *counters, int32_t format,
                     char *buf, size_t buf_len)
{
    writer w = {buf, buf_len, 0, 0};

    if (buf == NULL || buf_len == 0)
        return DTLSL_ERR_SPACE;
    if (format == DTLSL_FORMAT_JSON)
        print_json(&w, counters);
    else if (format == DTLSL_FORMAT_PROMETHEUS)
        print_prometheus(&w, counters);
    else
        return DTLSL_ERR_ARGUMENT;
    return w.failed ? DTLSL_ERR_SPACE : (int32_t)w.len;
}
