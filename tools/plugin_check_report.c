/* SPDX-License-Identifier: MIT
 * The report: a table to read, JSON for scripts. */
#include "plugin_check.h"
#include <stdio.h>
#include <string.h>

const char *
check_outcome_name(int outcome)
{
    static const char *const names[] = {
        [CHECK_NONE] = "not run",    [CHECK_PASSED] = "passed",
        [CHECK_WARNING] = "warning", [CHECK_FAILED] = "failed",
        [CHECK_SKIPPED] = "skipped",
    };

    return names[outcome];
}

static int
count(const check_report *reports, int outcome)
{
    int n = 0;

    for (size_t i = 0; i < check_count; i++)
        n += reports[i].outcome == outcome;
    return n;
}

int
check_had_no_cookie(const check_report *reports)
{
    for (size_t i = 0; i < check_count; i++)
        if (strcmp(check_list[i].name, "round-trip") == 0)
            return reports[i].outcome == CHECK_SKIPPED;
    return 0;
}

/* Texts may come from the plugin: none may steer a terminal. */
static void
print_text(const char *text)
{
    for (; *text != '\0'; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

/* Breaks between words, under what stands before it. */
static void
print_wrapped(const char *text, size_t indent, size_t width)
{
    size_t column = indent;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column > indent && column + 1 + len > width) {
            printf("\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        column += len;
        for (size_t i = 0; i < len; i++)
            print_text((char[]){text[i], '\0'});
        text += len + (text[len] == ' ');
    }
    putchar('\n');
}

static void
print_line(const char *label, const char *text)
{
    printf("        %-9s ", label);
    print_wrapped(text, 18, 79);
}

static void
print_entry(const check *c, const check_report *report)
{
    printf("%-7s %-14s ", check_outcome_name(report->outcome), c->name);
    if (report->outcome == CHECK_PASSED) {
        print_wrapped(report->seen[0] != '\0' ? report->seen : c->expected, 23,
                      79);
        return;
    }
    print_wrapped(c->expected, 23, 79);
    print_line(report->outcome == CHECK_SKIPPED ? "because:" : "seen:",
               report->seen);
    if (report->outcome != CHECK_SKIPPED)
        printf("        manual:   dtlslisten-cookie(7), \"%s\"\n", c->manual);
}

static const char *
strategy_of(const check_report *reports)
{
    for (size_t i = 0; i < check_count; i++)
        if (reports[i].strategy[0] != '\0')
            return reports[i].strategy;
    return "unknown";
}

void
check_print_table(const check_setup *setup, const check_report *reports)
{
    print_text(setup->path);
    printf("\nstrategy %s, seed %llu, time %llu\n\n", strategy_of(reports),
           (unsigned long long)setup->seed,
           (unsigned long long)setup->start.unix_ms / 1000);
    for (size_t i = 0; i < check_count; i++)
        if (reports[i].outcome != CHECK_NONE)
            print_entry(&check_list[i], &reports[i]);
    printf("\n%d passed, %d failed, %d warnings, %d skipped%s\n",
           count(reports, CHECK_PASSED), count(reports, CHECK_FAILED),
           count(reports, CHECK_WARNING), count(reports, CHECK_SKIPPED),
           check_had_no_cookie(reports)
               ? "; it made no cookie: hardly anything was tested"
               : "");
}

/* ---- JSON ---- */

/* The length of the UTF-8 sequence at s; 0 if it is none. */
static size_t
utf8_length(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = s[0] & (0xffu >> (len + 1));

    if (len == 1)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)
               ? 0
               : len;
}

static void
json_string(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t len;

    putchar('"');
    for (; *s != '\0'; s += len > 0 ? len : 1) {
        len = utf8_length(s);
        if (len == 0)
            fputs("\\ufffd", stdout);
        else if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if (*s < ' ' || *s == 0x7f)
            printf("\\u%04x", *s);
        else
            fwrite(s, 1, len, stdout);
    }
    putchar('"');
}

static void
json_member(const char *name, const char *value)
{
    printf(", \"%s\": ", name);
    json_string(value);
}

static void
json_entry(const check *c, const check_report *report)
{
    fputs("    {\"name\": ", stdout);
    json_string(c->name);
    json_member("result", check_outcome_name(report->outcome));
    json_member("expected", c->expected);
    json_member("seen", report->seen);
    json_member("manual", c->manual);
    if (report->hmac_mint_ns > 0)
        printf(",\n     \"mint_ns\": %.1f, \"verify_ns\": %.1f, "
               "\"hmac_mint_ns\": %.1f, \"hmac_verify_ns\": %.1f",
               report->mint_ns, report->verify_ns, report->hmac_mint_ns,
               report->hmac_verify_ns);
    putchar('}');
}

static void
json_options(const check_setup *setup)
{
    fputs(",\n  \"options\": [", stdout);
    for (size_t i = 0; i < setup->n_options; i++) {
        fputs(i == 0 ? "" : ", ", stdout);
        json_string(setup->options[i].key);
    }
    putchar(']');
}

void
check_print_json(const check_setup *setup, const check_report *reports)
{
    const char *separator = "\n";

    fputs("{\"plugin\": ", stdout);
    json_string(setup->path);
    json_member("strategy", strategy_of(reports));
    printf(",\n  \"seed\": %llu, \"time\": %llu",
           (unsigned long long)setup->seed,
           (unsigned long long)setup->start.unix_ms / 1000);
    json_options(setup);
    fputs(",\n  \"checks\": [", stdout);
    for (size_t i = 0; i < check_count; i++) {
        if (reports[i].outcome == CHECK_NONE)
            continue;
        fputs(separator, stdout);
        json_entry(&check_list[i], &reports[i]);
        separator = ",\n";
    }
    printf("],\n  \"passed\": %d, \"failed\": %d, \"warnings\": %d, "
           "\"skipped\": %d}\n",
           count(reports, CHECK_PASSED), count(reports, CHECK_FAILED),
           count(reports, CHECK_WARNING), count(reports, CHECK_SKIPPED));
}

void
check_print_list(void)
{
    for (size_t i = 0; i < check_count; i++)
        printf("%-14s %s\n", check_list[i].name, check_list[i].expected);
}
