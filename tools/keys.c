/* SPDX-License-Identifier: MIT
 * dtlslisten-keys: makes, rotates, shows, checks and distributes the key file
 * of a fleet. dtlslisten-keys(1). */
#include "keys.h"
#include <dtlslisten/base.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct keys_command {
    const char *name;
    const char *arguments;
    int n_arguments;
    int (*run)(const keys_options *o);
} keys_command;

/* In one write, and without what a terminal would take for an order. */
void
keys_complain(const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    fprintf(stderr, "dtlslisten-keys: %s\n", text);
}

static uint64_t
now_s(const keys_options *o)
{
    return o->at_s != 0 ? o->at_s : (uint64_t)time(NULL);
}

/* ---- commands ---- */

/* What no node would read is not written. */
static int
write_keys(const char *path, const dtlsl__keyfile *file)
{
    char *text = keys_print(file);
    dtlsl__keyfile again;
    char why[KEYS_WHY_MAX];
    int status;

    if (text == NULL) {
        keys_complain("out of memory");
        return KEYS_FAILED;
    }
    status = keys_parse(path, (const uint8_t *)text, strlen(text), &again);
    if (status == KEYS_GOOD) {
        status = keys_replace(path, (const uint8_t *)text, strlen(text), why);
        if (status != KEYS_GOOD)
            keys_complain("%s", why);
    }
    explicit_bzero(&again, sizeof(again));
    explicit_bzero(text, strlen(text));
    free(text);
    return status;
}

static int
add_key(dtlsl__keyfile *file, const keys_options *o, uint64_t now)
{
    uint8_t secret[32];
    const char *why;

    if (RAND_priv_bytes(secret, sizeof(secret)) != 1) {
        keys_complain("the system gives no random bytes");
        return KEYS_FAILED;
    }
    why = keys_rotate(file, o, now, secret);
    explicit_bzero(secret, sizeof(secret));
    if (why == NULL)
        return KEYS_GOOD;
    keys_complain("%s: %s", o->file, why);
    return KEYS_FAILED;
}

static int
take_service(dtlsl__keyfile *file, const char *service)
{
    size_t len = strlen(service);

    if (len == 0 || len > DTLSL__SERVICE_MAX || service[0] == '#') {
        keys_complain("--service: give a name of 1 to %d bytes that does not "
                      "begin with #",
                      DTLSL__SERVICE_MAX);
        return 0;
    }
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)service[i] <= ' ' || service[i] == 0x7f) {
            keys_complain("--service: no blanks or control characters");
            return 0;
        }
    memcpy(file->service, service, len);
    file->service_len = (uint8_t)len;
    file->has_service = 1;
    return 1;
}

static int
init_locked(const keys_options *o)
{
    dtlsl__keyfile file = {0};
    struct stat st;
    int status;

    if (!o->force && lstat(o->file, &st) == 0) {
        keys_complain("%s exists; rotate it, or give --force to lose its keys",
                      o->file);
        return KEYS_FAILED;
    }
    if (o->service != NULL && !take_service(&file, o->service))
        return KEYS_USAGE;
    status = add_key(&file, o, now_s(o));
    if (status == KEYS_GOOD)
        status = write_keys(o->file, &file);
    explicit_bzero(&file, sizeof(file));
    return status;
}

static int
rotate_locked(const keys_options *o)
{
    uint64_t now = now_s(o);
    dtlsl__keyfile file;
    char far[200];
    int status = keys_load(o->file, &file, NULL);

    if (status == KEYS_GOOD) {
        keys_prune(&file, o, now);
        status = add_key(&file, o, now);
    }
    if (status == KEYS_GOOD)
        status = write_keys(o->file, &file);
    if (status == KEYS_GOOD &&
        keys_warn_far(&file, o, now, far, sizeof(far)) != NULL)
        keys_complain("%s: %s", o->file, far);
    explicit_bzero(&file, sizeof(file));
    return status;
}

static int
with_lock(const keys_options *o, int (*run)(const keys_options *o))
{
    int lock = keys_lock(o->file);
    int status;

    if (lock < 0)
        return KEYS_FAILED;
    status = run(o);
    close(lock);
    return status;
}

static int
run_init(const keys_options *o)
{
    return with_lock(o, init_locked);
}

static int
run_rotate(const keys_options *o)
{
    return with_lock(o, rotate_locked);
}

static const char *
print_time(uint64_t unix_s, char buf[32])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (unix_s == DTLSL__KEYFILE_NEVER || gmtime_r(&t, &tm) == NULL)
        return "-";
    strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &tm);
    return buf;
}

static void
show_key(const dtlsl__keyfile *file, const dtlsl__keyfile_key *key,
         const keys_options *o, uint64_t now)
{
    char from[32], retires[32], until[32], state[64];
    uint64_t until_s = keys_verifies_until_s(key, o);

    keys_state(file, key, o, now, state, sizeof(state));
    if (strcmp(state, "overdue") == 0)
        until_s = DTLSL__KEYFILE_NEVER;
    printf("%-4u %-20s %-20s %-20s %s\n", key->kid,
           print_time(key->activate_s, from),
           print_time(key->retire_s, retires), print_time(until_s, until),
           state);
}

static int
run_show(const keys_options *o)
{
    uint64_t now = now_s(o);
    char text[32];
    dtlsl__keyfile file;
    int status = keys_load(o->file, &file, NULL);

    if (status != KEYS_GOOD)
        return status;
    if (file.has_service)
        printf("service %.*s\n", file.service_len, (char *)file.service);
    printf("%-4s %-20s %-20s %-20s %s\n", "key", "mints from", "mints until",
           "verifies until", "now");
    for (uint32_t i = 0; i < file.n_keys; i++)
        show_key(&file, &file.key[i], o, now);
    printf("it is %s; times are UTC\n", print_time(now, text));
    explicit_bzero(&file, sizeof(file));
    if (fflush(stdout) == 0 && !ferror(stdout))
        return KEYS_GOOD;
    keys_complain("cannot write the table: %s", strerror(errno));
    return KEYS_FAILED;
}

static int
run_check(const keys_options *o)
{
    uint64_t now = now_s(o);
    dtlsl__keyfile file;
    char buf[200];
    const char *text;
    uint32_t mode = 0, n = 0;
    int status = keys_load(o->file, &file, &mode);

    if (status != KEYS_GOOD)
        return status;
    for (; (text = keys_warning(&file, o, now, n, buf, sizeof(buf))) != NULL;
         n++)
        keys_complain("%s: %s", o->file, text);
    explicit_bzero(&file, sizeof(file));
    if (mode & 0137)
        keys_complain("%s: its mode is %04o; chmod 0640 it, or 0600", o->file,
                      mode);
    return n > 0 || mode & 0137 ? KEYS_WARNED : KEYS_GOOD;
}

static const keys_command commands[] = {
    {"init", "FILE", 1, run_init},      {"rotate", "FILE", 1, run_rotate},
    {"show", "FILE", 1, run_show},      {"check", "FILE", 1, run_check},
    {"sync", "URL FILE", 2, keys_sync}, {"push", "FILE URL", 2, keys_push},
};

/* ---- arguments ---- */

static int
usage(FILE *out)
{
    fputs("usage: dtlslisten-keys [OPTION...] COMMAND ARGUMENT...\n", out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].arguments);
    fputs("options: --propagation S  --lifetime S  --skew S  --service NAME\n"
          "         --emergency  --force  --at S  --once  --poll S\n"
          "         --password-file FILE  --ca-file FILE  --cert FILE  "
          "--key FILE\n"
          "         --version  --help\n"
          "see dtlslisten-keys(1)\n",
          out);
    return out == stdout ? KEYS_GOOD : KEYS_USAGE;
}

enum {
    YEAR_S = 31536000,
    DAY_S = 86400,
    LIFETIME_MAX_S = 3000,
    SKEW_MAX_S = 300
};

static int
take_seconds(const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(optarg, &end, 10);
    if (optarg[0] >= '0' && optarg[0] <= '9' && *end == '\0' && errno == 0 &&
        *out >= min && *out <= max)
        return 1;
    keys_complain("--%s: '%.40s' is not a number of seconds from %llu to %llu",
                  name, optarg, (unsigned long long)min,
                  (unsigned long long)max);
    return 0;
}

enum {
    OPT_PROPAGATION = 256,
    OPT_LIFETIME,
    OPT_SKEW,
    OPT_POLL,
    OPT_SERVICE,
    OPT_PASSWORD,
    OPT_CA,
    OPT_CERT,
    OPT_KEY,
    OPT_AT,
    OPT_EMERGENCY,
    OPT_FORCE,
    OPT_ONCE,
    OPT_VERSION,
    OPT_HELP
};

static const struct option long_options[] = {
    {"propagation", required_argument, NULL, OPT_PROPAGATION},
    {"lifetime", required_argument, NULL, OPT_LIFETIME},
    {"skew", required_argument, NULL, OPT_SKEW},
    {"poll", required_argument, NULL, OPT_POLL},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"password-file", required_argument, NULL, OPT_PASSWORD},
    {"ca-file", required_argument, NULL, OPT_CA},
    {"cert", required_argument, NULL, OPT_CERT},
    {"key", required_argument, NULL, OPT_KEY},
    {"at", required_argument, NULL, OPT_AT},
    {"emergency", no_argument, NULL, OPT_EMERGENCY},
    {"force", no_argument, NULL, OPT_FORCE},
    {"once", no_argument, NULL, OPT_ONCE},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* 1, or 0 after a complaint. */
static int
take_option(keys_options *o, int option)
{
    switch (option) {
    case OPT_PROPAGATION:
        return take_seconds("propagation", 0, YEAR_S, &o->propagation_s);
    case OPT_LIFETIME:
        return take_seconds("lifetime", 1, LIFETIME_MAX_S, &o->lifetime_s);
    case OPT_SKEW:
        return take_seconds("skew", 0, SKEW_MAX_S, &o->skew_s);
    case OPT_POLL:
        return take_seconds("poll", 1, DAY_S, &o->poll_s);
    case OPT_AT:
        return take_seconds("at", 1, UINT64_C(1) << 40, &o->at_s);
    case OPT_SERVICE:
        o->service = optarg;
        return 1;
    case OPT_PASSWORD:
        o->password_file = optarg;
        return 1;
    case OPT_CA:
        o->ca_file = optarg;
        return 1;
    case OPT_CERT:
        o->cert_file = optarg;
        return 1;
    case OPT_KEY:
        o->key_file = optarg;
        return 1;
    case OPT_EMERGENCY:
        o->emergency = 1;
        return 1;
    case OPT_FORCE:
        o->force = 1;
        return 1;
    case OPT_ONCE:
        o->once = 1;
        return 1;
    default:
        return 0;
    }
}

static const keys_command *
find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    keys_complain("there is no command '%.40s'", name);
    return NULL;
}

/* A key file or a socket that became descriptor 1 or 2 would be written into.
 * What is put there fails as a closed descriptor does. */
static int
fill_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode) != fd)
            return 0;
    }
    return 1;
}

/* Secrets must not get into a core file. Where cores go to a program, by a
 * pipe, the limit does not count. */
static void
leave_no_core(void)
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

static int
run(keys_options *o, char **words, int n)
{
    const keys_command *command = n > 0 ? find_command(words[0]) : NULL;

    if (command == NULL || n - 1 != command->n_arguments)
        return usage(stderr);
    if ((o->cert_file == NULL) != (o->key_file == NULL)) {
        keys_complain("--cert and --key go together; give both");
        return KEYS_USAGE;
    }
    if (o->at_s != 0 && command->run != run_show &&
        command->run != run_check) {
        keys_complain("--at is for show and check; leave it out");
        return KEYS_USAGE;
    }
    o->file = words[command->run == keys_sync ? 2 : 1];
    if (command->n_arguments == 2)
        o->url = words[command->run == keys_sync ? 1 : 2];
    leave_no_core();
    /* a file that may not grow fails with a text then, not with a signal */
    signal(SIGXFSZ, SIG_IGN);
    umask(077);
    return command->run(o);
}

int
main(int argc, char **argv)
{
    keys_options o = {
        .propagation_s = 3600, .lifetime_s = 120, .skew_s = 60, .poll_s = 10};
    int option;

    if (!fill_descriptors())
        return KEYS_FAILED; /* there may be nowhere to say it */
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == OPT_HELP)
            return usage(stdout);
        if (option == OPT_VERSION) {
            printf("dtlslisten-keys %s\n", dtlsl_version_string());
            return KEYS_GOOD;
        }
        if (!take_option(&o, option))
            return usage(stderr);
    }
    return run(&o, argv + optind, argc - optind);
}
