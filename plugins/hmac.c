/* SPDX-License-Identifier: MIT
 * The strategy "hmac": one host, 22 bytes. dtlslisten-cookie(7). Built into
 * the library, and as a module with DTLSL_COOKIE_MODULE. */
#include "schedule.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    COOKIE_LEN = 22,
    HEADER_LEN = 6,
    FMT = 0x10,
    SKEW_MS = 5000,
    /* From here on in an epoch no cookie of the one before is in its window,
     * so that its place can take the key of the next one. */
    PREPARE_MS = 3300000,
    /* More live secrets than this: the next reload waits. */
    GENERATIONS_MAX = 4,
    STALE_BURST = 100,
    STALE_EVERY_MS = 10
};

enum {
    COUNT_MINTED,
    COUNT_MINT_FAILED,
    COUNT_VALID,
    COUNT_VALID_EARLY,
    COUNT_VALID_LATE,
    COUNT_MALFORMED,
    COUNT_UNKNOWN_KEY,
    COUNT_EXPIRED,
    COUNT_FUTURE,
    COUNT_MISMATCH,
    COUNT_NEED_MORE,
    COUNT_VERIFY_FAILED,
    COUNT_SECRET_RELOADS,
    COUNT_SECRET_FILE_ERRORS,
    COUNTERS
};

static const char *const counter_names[COUNTERS] = {
    "minted",         "mint_failed",        "valid",       "valid_early",
    "valid_late",     "malformed",          "unknown_key", "expired",
    "future",         "mismatch",           "need_more",   "verify_failed",
    "secret_reloads", "secret_file_errors",
};

typedef struct epoch_key {
    uint64_t epoch;
    void *mac; /* NULL: no key here */
} epoch_key;

/* One secret and what follows from it. */
typedef struct generation {
    uint8_t prk[32];
    uint32_t offset;
    uint8_t kid;
    uint64_t retire_ms; /* UINT64_MAX: in force */
    epoch_key keys[2];  /* by epoch & 1 */
} generation;

typedef struct state {
    const dtlsl_cookie_host *host;
    dtlsl__realm realm;
    uint32_t lifetime_ms;
    uint32_t tail_budget;
    uint32_t poll_ms;
    uint32_t allow_short;
    uint32_t boot_id; /* 2: not given */
    char *secret_file;
    uint64_t next_poll_ms;
    int file_is_bad;      /* said so already */
    size_t n_generations; /* the first one mints */
    generation generations[GENERATIONS_MAX];
    uint32_t stale_tokens;
    uint64_t stale_ms;
    uint64_t counters[COUNTERS];
} state;

static int32_t fail(char *err, size_t err_len, int32_t code,
                    const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int32_t
fail(char *err, size_t err_len, int32_t code, const char *format, ...)
{
    va_list args;

    if (err != NULL && err_len > 0) {
        va_start(args, format);
        vsnprintf(err, err_len, format, args);
        va_end(args);
    }
    return code;
}

/* ---- options ---- */

static int32_t
parse_number(const dtlsl_cookie_option *option, uint32_t min, uint32_t max,
             uint32_t *out, char *err, size_t err_len)
{
    const char *p = option->value;
    uint64_t value = 0;

    while (*p >= '0' && *p <= '9' && value <= max)
        value = value * 10 + (uint64_t)(*p++ - '0');
    if (p == option->value || *p != '\0' || value < min || value > max)
        return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                    "option %s: '%.40s' is not a whole number from %u to %u; "
                    "give one in that range",
                    option->key, option->value, min, max);
    *out = (uint32_t)value;
    return DTLSL_OK;
}

static int32_t
parse_service(state *s, const char *value, char *err, size_t err_len)
{
    size_t len = strlen(value);

    if (len > DTLSL__SERVICE_MAX)
        return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                    "option service: %zu bytes are too many; use a name of "
                    "at most %d bytes",
                    len, DTLSL__SERVICE_MAX);
    memcpy(s->realm.service, value, len);
    s->realm.service_len = (uint8_t)len;
    return DTLSL_OK;
}

static int32_t
parse_secret_file(state *s, const char *value, char *err, size_t err_len)
{
    if (value[0] == '\0')
        return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                    "option secret-file: the path is empty; name a file of "
                    "%d to %d random bytes, or leave the option out",
                    DTLSL__SECRET_MIN, DTLSL__SECRET_MAX);
    free(s->secret_file);
    s->secret_file = strdup(value);
    if (s->secret_file == NULL)
        return fail(err, err_len, DTLSL_ERR_NOMEM,
                    "option secret-file: out of memory");
    return DTLSL_OK;
}

static int32_t
parse_option(state *s, const dtlsl_cookie_option *option, char *err,
             size_t err_len)
{
    const char *key = option->key;

    if (strcmp(key, "service") == 0)
        return parse_service(s, option->value, err, err_len);
    if (strcmp(key, "secret-file") == 0)
        return parse_secret_file(s, option->value, err, err_len);
    if (strcmp(key, "lifetime-ms") == 0)
        return parse_number(option, s->allow_short ? 1 : 10000, 3000000,
                            &s->lifetime_ms, err, err_len);
    if (strcmp(key, "tail-budget") == 0)
        return parse_number(option, 0, 1200, &s->tail_budget, err, err_len);
    if (strcmp(key, "poll-ms") == 0)
        return parse_number(option, s->allow_short ? 1 : 100, 3600000,
                            &s->poll_ms, err, err_len);
    if (strcmp(key, "boot-id") == 0)
        return parse_number(option, 0, 1, &s->boot_id, err, err_len);
    if (strcmp(key, "allow-short-lifetimes") == 0)
        return parse_number(option, 0, 1, &s->allow_short, err, err_len);
    return fail(err, err_len, DTLSL_ERR_OPTION,
                "strategy hmac has no option '%.64s'; it has service, "
                "lifetime-ms, tail-budget, secret-file, boot-id, poll-ms, "
                "allow-short-lifetimes",
                key);
}

/* allow-short-lifetimes first: it moves the bounds of others. */
static int32_t
parse_options(state *s, const dtlsl_cookie_option *options, size_t n,
              char *err, size_t err_len)
{
    int32_t status = DTLSL_OK;

    for (size_t i = 0; status == DTLSL_OK && i < n; i++)
        if (strcmp(options[i].key, "allow-short-lifetimes") == 0)
            status = parse_option(s, &options[i], err, err_len);
    for (size_t i = 0; status == DTLSL_OK && i < n; i++)
        status = parse_option(s, &options[i], err, err_len);
    return status;
}

/* ---- files ---- */

static int32_t
vet_secret_file(const char *path, int fd, char *err, size_t err_len)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail(err, err_len, DTLSL_ERR_FILE,
                    "option secret-file: %s: %s; check the file system", path,
                    strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail(err, err_len, DTLSL_ERR_FILE,
                    "option secret-file: %s is not a regular file; name one",
                    path);
    if (st.st_mode & (S_IROTH | S_IWOTH))
        return fail(err, err_len, DTLSL_ERR_FILE,
                    "option secret-file: %s is open to everybody (mode "
                    "%04o); chmod 0600 it and replace the secret",
                    path, (unsigned)(st.st_mode & 07777));
    if (st.st_size < DTLSL__SECRET_MIN || st.st_size > DTLSL__SECRET_MAX)
        return fail(err, err_len, DTLSL_ERR_FILE,
                    "option secret-file: %s has %lld bytes; write %d to %d "
                    "random bytes to it",
                    path, (long long)st.st_size, DTLSL__SECRET_MIN,
                    DTLSL__SECRET_MAX);
    return DTLSL_OK;
}

/* Reads up to cap bytes; < 0 on failure, with errno. */
static ssize_t
read_all(int fd, uint8_t *buf, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, buf + len, cap - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* The length of the secret, or a code with a text. */
static int32_t
read_secret(const char *path, uint8_t secret[DTLSL__SECRET_MAX + 1], char *err,
            size_t err_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int32_t status;
    ssize_t len;

    if (fd < 0)
        return fail(err, err_len, DTLSL_ERR_FILE,
                    "option secret-file: cannot open %s: %s; make it "
                    "readable for this process",
                    path, strerror(errno));
    status = vet_secret_file(path, fd, err, err_len);
    if (status != DTLSL_OK)
        goto done;
    len = read_all(fd, secret, DTLSL__SECRET_MAX + 1);
    status = (int32_t)len;
    if (len < 0)
        status = fail(err, err_len, DTLSL_ERR_FILE,
                      "option secret-file: cannot read %s: %s", path,
                      strerror(errno));
    else if (len < DTLSL__SECRET_MIN || len > DTLSL__SECRET_MAX)
        status = fail(err, err_len, DTLSL_ERR_FILE,
                      "option secret-file: %s changed while it was read; "
                      "replace it by rename",
                      path);
done:
    close(fd);
    return status;
}

/* ---- keys ---- */

static void
generation_clear(const dtlsl_cookie_host *host, generation *g)
{
    host->hmac_free(g->keys[0].mac);
    host->hmac_free(g->keys[1].mac);
    host->cleanse(g, sizeof(*g));
}

/* Does not allocate when the epoch's key is there. */
static void *
generation_mac(state *s, generation *g, uint64_t epoch)
{
    epoch_key *slot = &g->keys[epoch & 1];
    uint8_t key[32];
    void *mac = NULL;

    if (slot->mac != NULL && slot->epoch == epoch)
        return slot->mac;
    if (dtlsl__schedule_key(s->host, g->prk, DTLSL__ID_HMAC, g->kid, epoch,
                            &s->realm, key, sizeof(key)) >= 0)
        mac = s->host->hmac_new(s->host->ctx, key, sizeof(key));
    s->host->cleanse(key, sizeof(key));
    if (mac == NULL)
        return NULL;
    s->host->hmac_free(slot->mac);
    slot->mac = mac;
    slot->epoch = epoch;
    return mac;
}

static int32_t
generation_init(state *s, generation *g, const uint8_t *secret, size_t len)
{
    int32_t status;

    memset(g, 0, sizeof(*g));
    g->retire_ms = UINT64_MAX;
    status = dtlsl__schedule_prk(s->host, secret, len, g->prk);
    if (status >= 0)
        status = dtlsl__schedule_kid(s->host, g->prk, &g->kid);
    if (status >= 0)
        status = dtlsl__schedule_offset(s->host, g->prk, g->kid, &s->realm,
                                        &g->offset);
    if (status < 0)
        generation_clear(s->host, g);
    return status;
}

/* Puts 'g' in force; the one before it verifies until its cookies are out. */
static void
generation_adopt(state *s, const generation *g, uint64_t mono_ms)
{
    if (s->n_generations > 0) {
        s->generations[0].retire_ms = mono_ms + s->lifetime_ms + SKEW_MS;
        memmove(s->generations + 1, s->generations,
                s->n_generations * sizeof(*g));
    }
    s->generations[0] = *g;
    s->generations[0].retire_ms = UINT64_MAX;
    s->n_generations++;
}

/* Takes number i out without clearing its keys. */
static void
generation_remove(state *s, size_t i)
{
    s->n_generations--;
    memmove(s->generations + i, s->generations + i + 1,
            (s->n_generations - i) * sizeof(s->generations[0]));
    s->host->cleanse(&s->generations[s->n_generations],
                     sizeof(s->generations[0]));
}

static void
retire(state *s, uint64_t mono_ms)
{
    for (size_t i = s->n_generations; i > 1; i--) {
        if (s->generations[i - 1].retire_ms >= mono_ms)
            continue;
        generation_clear(s->host, &s->generations[i - 1]);
        generation_remove(s, i - 1);
    }
}

static void
prepare(state *s, uint64_t mono_ms)
{
    uint64_t epoch = mono_ms / DTLSL__EPOCH_MS;
    int late = mono_ms % DTLSL__EPOCH_MS >= PREPARE_MS;

    for (size_t i = 0; i < s->n_generations; i++) {
        generation_mac(s, &s->generations[i], epoch);
        if (late || epoch > 0)
            generation_mac(s, &s->generations[i],
                           late ? epoch + 1 : epoch - 1);
    }
}

/* ---- reload ---- */

static void
adopt_secret(state *s, const uint8_t *secret, size_t len, uint64_t mono_ms)
{
    generation g;

    if (generation_init(s, &g, secret, len) < 0)
        return;
    for (size_t i = 0; i < s->n_generations; i++) {
        if (!s->host->ct_equal(g.prk, s->generations[i].prk, 32))
            continue;
        generation_clear(s->host, &g);
        if (i == 0)
            return;
        g = s->generations[i];
        generation_remove(s, i);
        break;
    }
    if (s->n_generations < GENERATIONS_MAX) {
        generation_adopt(s, &g, mono_ms);
        s->counters[COUNT_SECRET_RELOADS]++;
        s->host->cleanse(&g, sizeof(g));
    } else {
        generation_clear(s->host, &g);
    }
}

static void
poll_secret(state *s, uint64_t mono_ms)
{
    uint8_t secret[DTLSL__SECRET_MAX + 1];
    char err[512];
    char line[600];
    int32_t len = read_secret(s->secret_file, secret, err, sizeof(err));

    if (len >= 0) {
        adopt_secret(s, secret, (size_t)len, mono_ms);
        s->file_is_bad = 0;
    } else {
        s->counters[COUNT_SECRET_FILE_ERRORS]++;
        if (!s->file_is_bad) {
            snprintf(line, sizeof(line), "%s (the old secret stays)", err);
            s->host->log(s->host->ctx, 1, line);
        }
        s->file_is_bad = 1;
    }
    s->host->cleanse(secret, sizeof(secret));
}

static uint64_t
next_prepare(uint64_t mono_ms)
{
    uint64_t at = mono_ms - mono_ms % DTLSL__EPOCH_MS + PREPARE_MS;

    return at > mono_ms ? at : at + DTLSL__EPOCH_MS;
}

static void
hmac_tick(void *opaque, uint64_t mono_ms, uint64_t unix_ms,
          uint64_t *next_mono_ms)
{
    state *s = opaque;
    uint64_t next = next_prepare(mono_ms);

    (void)unix_ms;
    retire(s, mono_ms);
    if (s->secret_file != NULL) {
        if (mono_ms >= s->next_poll_ms) {
            poll_secret(s, mono_ms);
            s->next_poll_ms = mono_ms + s->poll_ms;
        }
        if (s->next_poll_ms < next)
            next = s->next_poll_ms;
    }
    for (size_t i = 1; i < s->n_generations; i++)
        if (s->generations[i].retire_ms < next)
            next = s->generations[i].retire_ms + 1;
    prepare(s, mono_ms);
    *next_mono_ms = next;
}

/* ---- open and close ---- */

static void
hmac_close(void *opaque)
{
    state *s = opaque;
    const dtlsl_cookie_host *host;

    if (s == NULL)
        return;
    host = s->host;
    for (size_t i = 0; i < s->n_generations; i++)
        generation_clear(host, &s->generations[i]);
    free(s->secret_file);
    host->cleanse(s, sizeof(*s));
    free(s);
}

static int32_t
first_secret(state *s, char *err, size_t err_len)
{
    uint8_t secret[DTLSL__SECRET_MAX + 1];
    int32_t len = DTLSL_COOKIE_SECRET_LEN;
    int32_t status;

    if (s->secret_file != NULL) {
        len = read_secret(s->secret_file, secret, err, err_len);
        if (len < 0)
            return len;
    } else if (s->host->default_secret != NULL) {
        memcpy(secret, s->host->default_secret, DTLSL_COOKIE_SECRET_LEN);
    } else {
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "strategy hmac got no secret; set secret-file");
    }
    status = generation_init(s, &s->generations[0], secret, (size_t)len);
    s->host->cleanse(secret, sizeof(secret));
    if (status < 0)
        return fail(err, err_len, status,
                    "strategy hmac cannot compute HMAC-SHA-256; check that "
                    "OpenSSL's provider offers it");
    s->n_generations = 1;
    return DTLSL_OK;
}

static int32_t
set_up(state *s, const dtlsl_cookie_option *options, size_t n_options,
       char *err, size_t err_len)
{
    int32_t status = parse_options(s, options, n_options, err, err_len);

    if (status != DTLSL_OK)
        return status;
    if (s->boot_id == 2)
        s->boot_id = s->secret_file != NULL;
    if (s->boot_id == 1 && dtlsl__realm_read_boot_id(&s->realm) != DTLSL_OK)
        status = fail(err, err_len, DTLSL_ERR_FILE,
                      "option boot-id: the kernel's boot_id cannot be read "
                      "in /proc; set boot-id=0 and keep secret-file where a "
                      "reboot loses it");
    if (status == DTLSL_OK)
        status = first_secret(s, err, err_len);
    return status;
}

static int32_t
hmac_open(const dtlsl_cookie_host *host, void *user,
          const dtlsl_cookie_option *options, size_t n_options, void **out,
          char *err, size_t err_len)
{
    state *s;
    int32_t status;

    (void)user;
    if (host->abi != DTLSL_COOKIE_ABI || host->size < sizeof(*host))
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "strategy hmac was built for a newer library; install "
                    "the one that came with this library");
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return fail(err, err_len, DTLSL_ERR_NOMEM,
                    "strategy hmac: out of memory");
    s->host = host;
    s->lifetime_ms = 120000;
    s->tail_budget = 139;
    s->poll_ms = 10000;
    s->boot_id = 2;
    s->stale_tokens = STALE_BURST;
    status = set_up(s, options, n_options, err, err_len);
    if (status != DTLSL_OK) {
        hmac_close(s);
        return status;
    }
    *out = s;
    return DTLSL_OK;
}

/* ---- packet path ---- */

static int32_t
make_tag(state *s, void *mac, const uint8_t *header,
         const dtlsl_cookie_input *in, uint8_t tag[32])
{
    uint8_t message[DTLSL__MESSAGE_MAX];
    size_t len = dtlsl__schedule_message(message, header, HEADER_LEN, in, 1);

    return s->host->hmac_sha256(mac, message, len, tag);
}

static int32_t
mint(state *s, const dtlsl_cookie_input *in, uint8_t *cookie)
{
    generation *g = &s->generations[0];
    void *mac = generation_mac(s, g, in->mono_ms / DTLSL__EPOCH_MS);
    uint8_t header[HEADER_LEN] = {FMT, g->kid};
    uint8_t tag[32];
    int32_t status;

    if (mac == NULL)
        return DTLSL_ERR_NOMEM;
    if (dtlsl__schedule_binds_tail(in, COOKIE_LEN, s->tail_budget))
        header[0] |= DTLSL__FMT_TAIL;
    dtlsl__cookie_put32(header + 2, (uint32_t)in->mono_ms + g->offset);
    status = make_tag(s, mac, header, in, tag);
    if (status < 0)
        return status;
    memcpy(cookie, header, HEADER_LEN);
    memcpy(cookie + HEADER_LEN, tag, DTLSL__TAG_LEN);
    return COOKIE_LEN;
}

static int32_t
hmac_mint(void *opaque, const dtlsl_cookie_input *in, uint8_t *cookie,
          size_t cap)
{
    state *s = opaque;
    int32_t status = dtlsl__schedule_check(in);

    if (cap < COOKIE_LEN)
        status = DTLSL_ERR_SPACE;
    if (status == DTLSL_OK)
        status = mint(s, in, cookie);
    s->counters[status > 0 ? COUNT_MINTED : COUNT_MINT_FAILED]++;
    return status;
}

/* Bounds the work that cookies outside their window can cause. */
static int
take_stale_token(state *s, uint64_t mono_ms)
{
    uint64_t gain;

    if (mono_ms > s->stale_ms) {
        gain = (mono_ms - s->stale_ms) / STALE_EVERY_MS;
        s->stale_ms += gain * STALE_EVERY_MS;
        gain += s->stale_tokens;
        s->stale_tokens = gain < STALE_BURST ? (uint32_t)gain : STALE_BURST;
    }
    if (s->stale_tokens == 0)
        return 0;
    s->stale_tokens--;
    return 1;
}

/* Is the tag genuine? 1, 0, or < 0. */
static int32_t
check_tag(state *s, void *mac, const dtlsl_cookie_input *in,
          const uint8_t *cookie)
{
    uint8_t tag[32];
    int32_t status = make_tag(s, mac, cookie, in, tag);

    if (status < 0)
        return status;
    return s->host->ct_equal(tag, cookie + HEADER_LEN, DTLSL__TAG_LEN) ? 1 : 0;
}

/* Only what verifies may be called expired or future: nobody without a key
 * can raise those counters. Keys of other hours are not made for it. */
static int32_t
judge_stale(state *s, generation *g, const dtlsl_cookie_input *in,
            const uint8_t *cookie, int64_t delta, int has_inputs)
{
    uint64_t epoch;
    epoch_key *slot;

    if (!has_inputs || (delta > 0 && (uint64_t)delta > in->mono_ms))
        return DTLSL_COOKIE_MISMATCH;
    epoch = (in->mono_ms - (uint64_t)delta) / DTLSL__EPOCH_MS;
    slot = &g->keys[epoch & 1];
    if (slot->mac == NULL || slot->epoch != epoch ||
        !take_stale_token(s, in->mono_ms))
        return DTLSL_COOKIE_MISMATCH;
    if (check_tag(s, slot->mac, in, cookie) != 1)
        return DTLSL_COOKIE_MISMATCH;
    return delta > 0 ? DTLSL_COOKIE_EXPIRED : DTLSL_COOKIE_FUTURE;
}

static void
accept(state *s, int64_t delta, dtlsl_cookie_result *out)
{
    out->age_ms = delta > 0 ? (uint32_t)delta : 0;
    if (-delta > SKEW_MS / 2)
        s->counters[COUNT_VALID_EARLY]++;
    if (delta > s->lifetime_ms / 2)
        s->counters[COUNT_VALID_LATE]++;
}

static int32_t
judge(state *s, generation *g, const dtlsl_cookie_input *in,
      const uint8_t *cookie, dtlsl_cookie_result *out)
{
    uint32_t issued = dtlsl__cookie_get32(cookie + 2) - g->offset;
    int64_t delta = (int32_t)((uint32_t)in->mono_ms - issued);
    int has_inputs =
        (!(cookie[0] & DTLSL__FMT_TAIL) || dtlsl__schedule_has_tail(in)) &&
        (!(cookie[0] & DTLSL__FMT_LOCAL) ||
         (in->flags & DTLSL_COOKIE_IN_LOCAL));
    void *mac;
    int32_t genuine;

    if (delta < -SKEW_MS || delta > s->lifetime_ms ||
        (delta > 0 && (uint64_t)delta > in->mono_ms))
        return judge_stale(s, g, in, cookie, delta, has_inputs);
    if (!has_inputs)
        return DTLSL_COOKIE_NEED_MORE;
    mac = generation_mac(s, g,
                         (in->mono_ms - (uint64_t)delta) / DTLSL__EPOCH_MS);
    if (mac == NULL)
        return DTLSL_ERR_NOMEM;
    genuine = check_tag(s, mac, in, cookie);
    if (genuine < 0)
        return genuine;
    if (!genuine)
        return DTLSL_COOKIE_MISMATCH;
    accept(s, delta, out);
    return DTLSL_COOKIE_VALID;
}

/* Two secrets may share a kid: the more telling answer counts. */
static int32_t
verify(state *s, const dtlsl_cookie_input *in, const uint8_t *cookie,
       size_t len, dtlsl_cookie_result *out)
{
    int32_t best = DTLSL_COOKIE_UNKNOWN_KEY;

    if (len < 1 || (cookie[0] & 0xf0) != FMT ||
        (cookie[0] & DTLSL__FMT_RESERVED) || len != COOKIE_LEN)
        return DTLSL_COOKIE_MALFORMED;
    for (size_t i = 0; i < s->n_generations; i++) {
        generation *g = &s->generations[i];
        int32_t status;

        if (g->kid != cookie[1] || in->mono_ms > g->retire_ms)
            continue;
        status = judge(s, g, in, cookie, out);
        if (status == DTLSL_COOKIE_VALID || status < 0)
            return status;
        if (best == DTLSL_COOKIE_UNKNOWN_KEY || best == DTLSL_COOKIE_MISMATCH)
            best = status;
    }
    return best;
}

static int32_t
hmac_verify(void *opaque, const dtlsl_cookie_input *in, const uint8_t *cookie,
            size_t len, dtlsl_cookie_result *out)
{
    static const uint8_t counts[] = {
        [DTLSL_COOKIE_VALID] = COUNT_VALID,
        [DTLSL_COOKIE_MALFORMED] = COUNT_MALFORMED,
        [DTLSL_COOKIE_UNKNOWN_KEY] = COUNT_UNKNOWN_KEY,
        [DTLSL_COOKIE_EXPIRED] = COUNT_EXPIRED,
        [DTLSL_COOKIE_FUTURE] = COUNT_FUTURE,
        [DTLSL_COOKIE_MISMATCH] = COUNT_MISMATCH,
        [DTLSL_COOKIE_NEED_MORE] = COUNT_NEED_MORE,
    };
    state *s = opaque;
    int32_t status = dtlsl__schedule_check(in);

    if (status == DTLSL_OK)
        status = verify(s, in, cookie, len, out);
    s->counters[status < 0 ? COUNT_VERIFY_FAILED : counts[status]]++;
    return status;
}

static int32_t
hmac_counter(void *opaque, uint32_t index, const char **name, uint64_t *value)
{
    const state *s = opaque;

    if (index >= COUNTERS)
        return DTLSL_ERR_ARGUMENT;
    *name = counter_names[index];
    *value = s->counters[index];
    return DTLSL_OK;
}

static const dtlsl_cookie_plugin table = {
    .size = sizeof(table),
    .abi = DTLSL_COOKIE_ABI,
    .name = "hmac",
    .max_cookie_len = COOKIE_LEN,
    .open = hmac_open,
    .close = hmac_close,
    .mint = hmac_mint,
    .verify = hmac_verify,
    .tick = hmac_tick,
    .counter = hmac_counter,
};

#ifdef DTLSL_COOKIE_MODULE
DTLSL_API const dtlsl_cookie_plugin *dtlsl_cookie_plugin_v1(void);

const dtlsl_cookie_plugin *
dtlsl_cookie_plugin_v1(void)
{
    return &table;
}
#else
const dtlsl_cookie_plugin *dtlsl__cookie_hmac(void);

const dtlsl_cookie_plugin *
dtlsl__cookie_hmac(void)
{
    return &table;
}
#endif
