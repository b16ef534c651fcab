/* SPDX-License-Identifier: MIT
 * dtlslisten-plugin-check: does a cookie plugin keep what the ABI asks for?
 * dtlslisten-plugin-check(1). */
#include "plugin_check.h"
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USAGE                                                                \
    "usage: dtlslisten-plugin-check [--json] [--seed N] [--time SECONDS]\n"  \
    "           [--peer ADDRESS] [--limit SECONDS] [--check NAME]...\n"      \
    "           PLUGIN.so [key=value]...\n"                                  \
    "       dtlslisten-plugin-check --list | --help | --version\n"           \
    "exit status: 0 no check failed, 1 one failed, 2 usage or not loaded,\n" \
    "             3 it made no cookie, so that hardly anything was tested\n"

enum {
    EXIT_PASSED = 0,
    EXIT_FAILED_CHECK = 1,
    EXIT_USAGE = 2,
    EXIT_UNTESTED = 3,
    OPTIONS_MAX = 32,
    CHECKS_MAX = 64,
    TIME_MIN = 1000000, /* room for clocks that go back */
    LIMIT_DEFAULT_S = 60,
    LIMIT_MAX_S = 86400
};

/* So that clocks can go back by more than any of them turns. */
#define START_MONO_MS UINT64_C(5000000000)

typedef struct arguments {
    check_setup setup;
    dtlsl_cookie_option options[OPTIONS_MAX];
    char path[PATH_MAX];
    uint8_t wanted[CHECKS_MAX]; /* by number of the check */
    int has_wanted;
    int json;
} arguments;

static _Noreturn void die(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static void
die(const char *format, ...)
{
    va_list args;

    fputs("dtlslisten-plugin-check: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\n" USAGE, stderr);
    exit(EXIT_USAGE);
}

/* ---- arguments ---- */

static uint64_t
number(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        value < min || value > max)
        die("%s %s: give a whole number from %llu to %llu", option, text,
            (unsigned long long)min, (unsigned long long)max);
    return value;
}

/* IPv4, IPv6, or IPv6%ZONE. */
static void
take_peer(check_setup *setup, const char *text)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0,    0,
                                       0, 0, 0, 0, 0xff, 0xff};
    char address[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "%");

    setup->has_peer = 1;
    setup->zone = 0;
    memcpy(setup->peer, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, text, setup->peer + 12) == 1)
        return;
    if (text[len] == '%') {
        setup->zone = if_nametoindex(text + len + 1);
        if (setup->zone == 0)
            setup->zone = (uint32_t)number("--peer, zone", text + len + 1, 1,
                                           UINT32_MAX);
    }
    if (len < sizeof(address)) {
        memcpy(address, text, len);
        address[len] = '\0';
        if (inet_pton(AF_INET6, address, setup->peer) == 1)
            return;
    }
    die("--peer %s: give an IPv4 or IPv6 address", text);
}

static void
take_check(arguments *a, const char *name)
{
    a->has_wanted = 1;
    for (size_t i = 0; i < check_count; i++)
        if (strcmp(check_list[i].name, name) == 0) {
            a->wanted[i] = 1;
            return;
        }
    die("--check %s: there is no such check; --list shows them", name);
}

static void
take_pair(arguments *a, char *text)
{
    char *sign = strchr(text, '=');

    if (sign == NULL || sign == text)
        die("%s: options for the plugin are key=value", text);
    if (a->setup.n_options == OPTIONS_MAX)
        die("%s: more than %d options", text, OPTIONS_MAX);
    *sign = '\0';
    a->options[a->setup.n_options++] = (dtlsl_cookie_option){text, sign + 1};
}

/* The loader takes absolute paths only; a link in the way stays one. */
static void
take_path(arguments *a, const char *path)
{
    char here[PATH_MAX] = "";
    int len;

    if (path[0] == '\0')
        die("the plugin's path is empty");
    if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
        die("%s: the working directory is gone: %s", path, strerror(errno));
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    len = snprintf(a->path, sizeof(a->path), "%s%s%s", here,
                   here[0] == '\0' || here[1] == '\0' ? "" : "/", path);
    if (len < 0 || (size_t)len >= sizeof(a->path))
        die("%s: the path is too long", path);
    a->setup.path = a->path;
}

static _Noreturn void
print_and_exit(int option)
{
    if (option == 'l')
        check_print_list();
    else if (option == 'V')
        puts("dtlslisten-plugin-check " PACKAGE_VERSION);
    else
        fputs(USAGE, stdout);
    exit(fflush(stdout) == 0 ? EXIT_PASSED : EXIT_USAGE);
}

static void
take_option(arguments *a, int option, const char *value)
{
    switch (option) {
    case 'j':
        a->json = 1;
        break;
    case 's':
        a->setup.seed = number("--seed", value, 0, UINT64_MAX);
        break;
    case 't':
        a->setup.start.unix_ms =
            number("--time", value, TIME_MIN, UINT32_MAX) * 1000;
        break;
    case 'p':
        take_peer(&a->setup, value);
        break;
    case 'm':
        a->setup.limit_s = (unsigned)number("--limit", value, 1, LIMIT_MAX_S);
        break;
    case 'c':
        take_check(a, value);
        break;
    case 'l':
    case 'V':
    case 'h':
        print_and_exit(option);
    default:
        fputs(USAGE, stderr);
        exit(EXIT_USAGE);
    }
}

static void
parse(arguments *a, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {"seed", required_argument, NULL, 's'},
        {"time", required_argument, NULL, 't'},
        {"peer", required_argument, NULL, 'p'},
        {"limit", required_argument, NULL, 'm'},
        {"check", required_argument, NULL, 'c'},
        {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(a, option, optarg);
    if (optind == argc)
        die("name a plugin");
    take_path(a, argv[optind++]);
    while (optind < argc)
        take_pair(a, argv[optind++]);
}

/* ---- running ---- */

/* The first check is "load": without it there is nothing to see. */
static int
run_all(const arguments *a, check_report *reports)
{
    int failed = 0;

    for (size_t i = 0; i < check_count; i++) {
        if (a->has_wanted && !a->wanted[i] && i > 0)
            continue;
        check_run(&check_list[i], &a->setup, &reports[i]);
        failed |= reports[i].outcome == CHECK_FAILED;
        if (i == 0 && reports[i].outcome != CHECK_PASSED)
            return EXIT_USAGE;
    }
    if (failed)
        return EXIT_FAILED_CHECK;
    return check_had_no_cookie(reports) ? EXIT_UNTESTED : EXIT_PASSED;
}

int
main(int argc, char **argv)
{
    static arguments a;
    static check_report reports[CHECKS_MAX];
    int status;

    a.setup.seed = 1;
    a.setup.limit_s = LIMIT_DEFAULT_S;
    a.setup.start.mono_ms = START_MONO_MS;
    a.setup.start.unix_ms = (uint64_t)time(NULL) * 1000;
    a.setup.options = a.options;
    parse(&a, argc, argv);
    status = run_all(&a, reports);
    if (a.json)
        check_print_json(&a.setup, reports);
    else
        check_print_table(&a.setup, reports);
    if (fflush(stdout) != 0)
        die("the report cannot be written: %s", strerror(errno));
    return status;
}
