/* SPDX-License-Identifier: MIT
 * The key file of a fleet. */
#include "keyfile.h"
#include "strategy.h"
#include <string.h>

/* A line without its end, read word by word. */
typedef struct line {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t number;
    char *err;
    size_t err_len;
} line;

typedef struct word {
    const uint8_t *at;
    size_t len;
} word;

static const char header[] = "dtlslisten-cluster-keys 1";

#define REFUSE(l, ...) \
    dtlsl__refuse((l)->err, (l)->err_len, DTLSL_ERR_FILE, __VA_ARGS__)

static int
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The next word, of length 0 behind the last. */
static word
next_word(line *l)
{
    word w;

    while (l->at < l->end && is_blank(*l->at))
        l->at++;
    w.at = l->at;
    while (l->at < l->end && !is_blank(*l->at))
        l->at++;
    w.len = (size_t)(l->at - w.at);
    return w;
}

static int
word_is(word w, const char *text)
{
    return w.len == strlen(text) && memcmp(w.at, text, w.len) == 0;
}

static int
word_number(word w, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < w.len; i++) {
        if (w.at[i] < '0' || w.at[i] > '9')
            return 0;
        value = value * 10 + (uint64_t)(w.at[i] - '0');
        if (value > max)
            return 0;
    }
    *out = value;
    return w.len > 0;
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static int32_t
read_secret(line *l, dtlsl__keyfile_key *key)
{
    word w = next_word(l);
    size_t digits = w.len - 4;

    if (w.len < 4 || memcmp(w.at, "hex:", 4) != 0)
        return REFUSE(l,
                      "line %u: no secret; write hex: and 64 to 512 "
                      "hexadecimal digits as the fifth word",
                      l->number);
    if (digits < 2 * DTLSL__SECRET_MIN || digits > 2 * DTLSL__SECRET_MAX ||
        digits % 2 != 0)
        return REFUSE(l,
                      "line %u: the secret has %zu digits; give it an even "
                      "number from 64 to 512",
                      l->number, digits);
    key->secret_len = (uint16_t)(digits / 2);
    for (size_t i = 0; i < key->secret_len; i++) {
        int high = hex_digit(w.at[4 + 2 * i]);
        int low = hex_digit(w.at[5 + 2 * i]);

        if (high < 0 || low < 0)
            return REFUSE(l,
                          "line %u: the secret has a character that is no "
                          "hexadecimal digit; use 0-9 and a-f",
                          l->number);
        key->secret[i] = (uint8_t)(high << 4 | low);
    }
    return DTLSL_OK;
}

/* Unix seconds stay below 2^40, so that milliseconds do not overflow. */
static int32_t
read_times(line *l, dtlsl__keyfile_key *key)
{
    const uint64_t max = UINT64_C(1) << 40;
    word w = next_word(l);

    if (!word_number(w, max, &key->activate_s))
        return REFUSE(l,
                      "line %u: the third word is no time of activation; "
                      "write seconds since 1970",
                      l->number);
    w = next_word(l);
    key->retire_s = DTLSL__KEYFILE_NEVER;
    if (!word_is(w, "-") && !word_number(w, max, &key->retire_s))
        return REFUSE(l,
                      "line %u: the fourth word is no time of retirement; "
                      "write seconds since 1970, or - for none",
                      l->number);
    if (key->retire_s <= key->activate_s)
        return REFUSE(l,
                      "line %u: the key retires before it is activated; "
                      "the fourth word must be above the third",
                      l->number);
    return DTLSL_OK;
}

static int32_t
read_kid(line *l, const dtlsl__keyfile *file, dtlsl__keyfile_key *key)
{
    uint64_t kid;

    if (!word_number(next_word(l), 255, &kid))
        return REFUSE(l,
                      "line %u: the second word is no key id; write a "
                      "number from 0 to 255",
                      l->number);
    key->kid = (uint8_t)kid;
    for (uint32_t i = 0; i < file->n_keys; i++)
        if (file->key[i].kid == key->kid)
            return REFUSE(l,
                          "line %u: key id %u stands on line %u already; "
                          "give each key one of its own",
                          l->number, key->kid, file->key[i].line);
    return DTLSL_OK;
}

static int32_t
read_key(line *l, dtlsl__keyfile *file)
{
    dtlsl__keyfile_key *key = &file->key[file->n_keys];
    int32_t status;

    if (file->n_keys == DTLSL__KEYFILE_KEYS)
        return REFUSE(l,
                      "line %u: more than %d keys; remove those that "
                      "retired long ago",
                      l->number, DTLSL__KEYFILE_KEYS);
    key->line = l->number;
    status = read_kid(l, file, key);
    if (status == DTLSL_OK)
        status = read_times(l, key);
    if (status == DTLSL_OK)
        status = read_secret(l, key);
    if (status == DTLSL_OK)
        file->n_keys++;
    return status;
}

static int32_t
read_service(line *l, dtlsl__keyfile *file)
{
    word w = next_word(l);

    if (file->has_service)
        return REFUSE(l, "line %u: a second service; keep one", l->number);
    if (file->n_keys > 0)
        return REFUSE(l,
                      "line %u: the service stands behind a key; move it "
                      "before the first one",
                      l->number);
    if (w.len == 0 || w.len > DTLSL__SERVICE_MAX)
        return REFUSE(l,
                      "line %u: the service has no name, or one of more "
                      "than %d bytes",
                      l->number, DTLSL__SERVICE_MAX);
    memcpy(file->service, w.at, w.len);
    file->service_len = (uint8_t)w.len;
    file->has_service = 1;
    return DTLSL_OK;
}

static int32_t
read_line(line *l, dtlsl__keyfile *file)
{
    word w;
    int32_t status;

    for (const uint8_t *p = l->at; p < l->end; p++)
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return REFUSE(l,
                          "line %u: a control character (byte %u); write "
                          "plain text",
                          l->number, *p);
    if (l->number == 1)
        return word_is((word){l->at, (size_t)(l->end - l->at)}, header)
                   ? DTLSL_OK
                   : REFUSE(l,
                            "line 1 is not '%s': no key file, or of another "
                            "version",
                            header);
    w = next_word(l);
    if (w.len == 0 || w.at[0] == '#')
        return DTLSL_OK;
    if (word_is(w, "key"))
        status = read_key(l, file);
    else if (word_is(w, "service"))
        status = read_service(l, file);
    else
        return REFUSE(l,
                      "line %u begins neither with key nor with service; "
                      "mend it, or put # before it",
                      l->number);
    if (status == DTLSL_OK && next_word(l).len > 0)
        return REFUSE(l, "line %u: more words than it should have", l->number);
    return status;
}

/* A file that is cut short must not shorten a secret: each line has its end.
 */
static int32_t
read_lines(dtlsl__keyfile *file, const uint8_t *text, size_t len, line *l)
{
    const uint8_t *end = text + len;
    int32_t status = DTLSL_OK;

    while (status == DTLSL_OK && text < end) {
        const uint8_t *feed = memchr(text, '\n', (size_t)(end - text));

        l->number++;
        if (feed == NULL)
            return REFUSE(l,
                          "line %u does not end; end the last line, too, "
                          "with a line feed",
                          l->number);
        l->at = text;
        l->end = feed > text && feed[-1] == '\r' ? feed - 1 : feed;
        status = read_line(l, file);
        text = feed + 1;
    }
    if (status == DTLSL_OK && file->n_keys == 0)
        return REFUSE(l, "no key in it; add one");
    return status;
}

int32_t
dtlsl__keyfile_parse(dtlsl__keyfile *out, const uint8_t *text, size_t len,
                     char *err, size_t err_len)
{
    line l = {.err = err, .err_len = err_len};
    int32_t status;

    memset(out, 0, sizeof(*out));
    if (len > DTLSL__KEYFILE_MAX)
        return REFUSE(&l, "more than %d bytes: no key file",
                      DTLSL__KEYFILE_MAX);
    status = read_lines(out, text, len, &l);
    if (status != DTLSL_OK)
        explicit_bzero(out, sizeof(*out));
    return status;
}

/* Does a mint before b? */
static int
comes_before(const dtlsl__keyfile_key *a, const dtlsl__keyfile_key *b)
{
    if (a->activate_s != b->activate_s)
        return a->activate_s > b->activate_s;
    return a->kid > b->kid;
}

const dtlsl__keyfile_key *
dtlsl__keyfile_mints(const dtlsl__keyfile *file, uint64_t unix_s, int *overdue)
{
    const dtlsl__keyfile_key *live = NULL, *last = NULL;

    for (uint32_t i = 0; i < file->n_keys; i++) {
        const dtlsl__keyfile_key *key = &file->key[i];

        if (key->activate_s > unix_s)
            continue;
        if (key->retire_s > unix_s) {
            if (live == NULL || comes_before(key, live))
                live = key;
        } else if (last == NULL || key->retire_s > last->retire_s ||
                   (key->retire_s == last->retire_s &&
                    comes_before(key, last))) {
            last = key;
        }
    }
    *overdue = live == NULL && last != NULL;
    return live != NULL ? live : last;
}

uint64_t
dtlsl__keyfile_mints_until(const dtlsl__keyfile *file,
                           const dtlsl__keyfile_key *key)
{
    uint64_t next = DTLSL__KEYFILE_NEVER;
    int overdue;

    if (key->retire_s == DTLSL__KEYFILE_NEVER ||
        dtlsl__keyfile_mints(file, key->retire_s, &overdue) != key)
        return key->retire_s;
    for (uint32_t i = 0; i < file->n_keys; i++)
        if (file->key[i].activate_s > key->retire_s &&
            file->key[i].activate_s < next)
            next = file->key[i].activate_s;
    return next;
}
