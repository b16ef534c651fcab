/* SPDX-License-Identifier: MIT
 * The gate against the real DTLSv1_listen(), datagram by datagram: the same
 * verdict, the same HelloVerifyRequest, the same SSL afterwards, or a
 * departure that is in the table below.
 *
 * usage: differential [--seed N] [COUNT] */
#include "differential.h"
#include <dtlslisten/gate.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN_MAX = 10,
    BUDGET = 64, /* answers to bad cookies while time stands still */
    CLASSES_MAX = 100,
    BODY_MAX = 1 << 17
};

/* One datagram and what both sides said. */
typedef struct comparison {
    const probe *p;
    const outcome *theirs;
    const outcome *ours;
} comparison;

typedef struct departure {
    const char *name;
    const char *why;
    int32_t reason; /* the gate drops with it; NONE: see the comparison */
    int (*applies)(const comparison *c);
    int (*is_proven)(const comparison *c); /* or NULL */
    int (*is_possible)(void);              /* here at all; or NULL */
    uint64_t count;
} departure;

typedef struct class_count {
    char name[80];
    uint64_t count;
} class_count;

static class_count classes[CLASSES_MAX];
static size_t n_classes;
static uint64_t n_cases;
static uint64_t n_differences;
static unsigned bad_cookies; /* answered since time last went on */

void
need(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "differential: case %llu: not so: %s\n",
            (unsigned long long)n_cases, what);
    exit(2);
}

/* ---- what is in the datagram, read without the library ---- */

/* OpenSSL read the front up to the cookie without complaint. */
static int
is_answered(const comparison *c)
{
    return c->theirs->action != DROP && c->p->len > 0;
}

static uint32_t
cookie_at(const probe *p)
{
    return AT_SESSION_ID + 1U + p->data[AT_SESSION_ID];
}

static int
has_cookie(const probe *p)
{
    return p->data[cookie_at(p)] > 0;
}

/* cipher_suites, compression_methods, and extensions if any (RFC 6347 section
 * 4.2.1, RFC 5246 section 7.4.1.2). */
static int
is_well_formed(const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    uint32_t n;

    if (len < 2 || (n = get16(p)) == 0 || n % 2 != 0 || n + 3 > len)
        return 0;
    p += 2 + n;
    n = *p++;
    if (n > end - p || memchr(p, 0, n) == NULL)
        return 0;
    p += n;
    if (p == end)
        return 1;
    if (end - p < 2 || get16(p) != end - p - 2)
        return 0;
    for (p += 2; end - p >= 4; p += 4 + n) {
        n = get16(p + 2);
        if (n > end - p - 4)
            return 0;
    }
    return p == end;
}

/* What is behind the cookie, of which only the first bytes are known. */
typedef struct rest {
    uint8_t *p;
    size_t known;
    size_t total;
} rest;

static void
guess(rest *r, size_t at, uint8_t value)
{
    if (at >= r->known && at < r->total)
        r->p[at] = value;
}

/* A two-byte length, as near to 'want' as the known bytes let it be. */
static void
guess16(rest *r, size_t at, size_t want)
{
    guess(r, at, (uint8_t)(want >> 8));
    guess(r, at + 1,
          at + 1 == r->known && r->p[at] != want >> 8 ? 0 : (uint8_t)want);
}

static void
guess_extensions(rest *r, size_t at)
{
    guess16(r, at, r->total - at - 2);
    for (at += 2; at + 4 <= r->total; at += 4U + get16(r->p + at + 2)) {
        guess16(r, at, 0xfafa);
        guess16(r, at + 2, r->total - at - 4);
    }
}

/* Fills in what is not known so that the whole is well formed, if any bytes
 * there could make it so. */
static void
complete(rest *r)
{
    size_t at, left;

    memset(r->p + r->known, 0, r->total - r->known);
    if (r->total < 6)
        return;
    guess16(r, 0, 2);
    at = 2 + get16(r->p);
    if (at + 2 > r->total)
        return;
    left = r->total - at - 2;
    /* One method, or as many as leave no room for extensions too short. */
    guess(r, at, (uint8_t)(left < 6 && left != 2 ? left + 1 : 1));
    at += 1U + r->p[at];
    if (at + 2 <= r->total)
        guess_extensions(r, at);
}

/* The body with its rest completed; NULL if it is too long for OpenSSL. */
static uint8_t *
complete_body(const probe *p, size_t *len)
{
    static uint8_t body[BODY_MAX];
    size_t known = get24(p->data + AT_FRAGMENT_LENGTH);
    size_t behind = cookie_at(p) + 1U + p->data[cookie_at(p)] - AT_BODY;
    rest r;

    *len = get24(p->data + AT_MESSAGE_LENGTH);
    if (*len > sizeof(body) || known > *len)
        return NULL;
    memcpy(body, p->data + AT_BODY, known);
    r.p = body + behind;
    r.known = known - behind;
    r.total = *len - behind;
    complete(&r);
    return body;
}

/* ---- proofs that OpenSSL refuses what the gate drops ---- */

/* The ClientHello with the right cookie, as the client would send it next. */
static probe *
with_cookie(const probe *p)
{
    static probe second;
    size_t len = record_end(p);

    second.path = p->path;
    second.cookie_len = p->cookie_len;
    memcpy(second.data, p->data, len);
    second.len = len;
    put16(second.data + AT_MESSAGE_SEQ, 1);
    put48(second.data + AT_RECORD_SEQ, 1);
    return probe_put_cookie(&second) ? &second : NULL;
}

static int
is_refused(const comparison *c)
{
    const probe *second = with_cookie(c->p);
    uint8_t *body;
    size_t len;
    outcome o;

    if (second == NULL)
        return 0;
    body = complete_body(second, &len);
    ask_openssl_all(second, body, len, &o);
    return o.action == ACCEPT && o.after == REFUSED;
}

/* With message_seq 0 nothing is ever answered, even if the cookie is right
 * and nothing is missing. */
static int
stalls(const comparison *c)
{
    probe *second = with_cookie(c->p);
    uint8_t *body;
    size_t len;
    outcome o;

    if (second == NULL)
        return 0;
    put16(second->data + AT_MESSAGE_SEQ, 0);
    body = complete_body(second, &len);
    ask_openssl_all(second, body, len, &o);
    return o.action == ACCEPT && o.out_len == 0 && o.after == WAITS;
}

static int
is_not_taken(const comparison *c)
{
    return c->theirs->after != TAKEN;
}

/* ---- the departures ---- */

static int
comes_from_nobody(const comparison *c)
{
    return c->p->path != PATH_GOOD && c->p->path != PATH_TO_MULTICAST;
}

static int
goes_to_many(const comparison *c)
{
    return c->p->path == PATH_TO_MULTICAST;
}

static int
is_empty(const comparison *c)
{
    return c->p->len == 0 && c->theirs->action == FATAL;
}

/* It goes on to the checks behind that of message_seq. */
static int
is_behind_message_seq(const comparison *c)
{
    if (c->theirs->reason == SSL_R_LENGTH_MISMATCH)
        return c->p->len >= AT_BODY && c->p->len >= record_end(c->p) &&
               get24(c->p->data + AT_FRAGMENT_LENGTH) + AT_BODY ==
                   record_end(c->p);
    return c->theirs->action != DROP ||
           c->theirs->reason == SSL_R_FRAGMENTED_CLIENT_HELLO;
}

static int
has_message_seq_2(const comparison *c)
{
    return libssl_takes_message_seq_2() && c->p->len > 0 &&
           get16(c->p->data + AT_MESSAGE_SEQ) == 2 && is_behind_message_seq(c);
}

static int
has_long_session_id(const comparison *c)
{
    return is_answered(c) && c->p->data[AT_SESSION_ID] > 32;
}

static int
has_cookie_too_early(const comparison *c)
{
    return is_answered(c) && has_cookie(c->p) &&
           get16(c->p->data + AT_MESSAGE_SEQ) == 0;
}

static int
is_numbered_too_high(const comparison *c)
{
    return is_answered(c) && has_cookie(c->p) &&
           get48(c->p->data + AT_RECORD_SEQ) > 0xfffffff00000;
}

static int
is_whole_and_malformed(const comparison *c)
{
    uint32_t behind;

    if (!is_answered(c) || get24(c->p->data + AT_MESSAGE_LENGTH) !=
                               get24(c->p->data + AT_FRAGMENT_LENGTH))
        return 0;
    behind = cookie_at(c->p) + 1U + c->p->data[cookie_at(c->p)];
    return !is_well_formed(c->p->data + behind, record_end(c->p) - behind);
}

/* A fragment may be dropped if nothing can complete it, but need not be: what
 * is missing is not known to the gate. */
static int
is_hopeless_fragment(const comparison *c)
{
    size_t behind, len;
    uint8_t *body;

    if (c->ours->reason != DTLSL_REASON_DROP_MALFORMED || !is_answered(c) ||
        get24(c->p->data + AT_MESSAGE_LENGTH) ==
            get24(c->p->data + AT_FRAGMENT_LENGTH))
        return 0;
    behind = cookie_at(c->p) + 1U + c->p->data[cookie_at(c->p)] - AT_BODY;
    body = complete_body(c->p, &len);
    return body == NULL || !is_well_formed(body + behind, len - behind);
}

static int
is_over_budget(const comparison *c)
{
    return is_answered(c) && has_cookie(c->p) && c->theirs->action != ACCEPT &&
           ++bad_cookies > BUDGET;
}

static int
has_no_cookie_to_give(const comparison *c)
{
    return is_answered(c) && c->theirs->action != ACCEPT &&
           c->p->cookie != COOKIE_GOOD;
}

static int
would_amplify(const comparison *c)
{
    return c->theirs->action == REPLY && c->theirs->out_len > c->p->len;
}

static departure departures[] = {
    {"source", "no answer reaches port 0, a multicast address, ourselves",
     DTLSL_REASON_DROP_SOURCE, comes_from_nobody, NULL, NULL, 0},
    {"destination", "what was sent to many is not answered",
     DTLSL_REASON_DROP_DESTINATION, goes_to_many, NULL, NULL, 0},
    {"empty datagram", "anybody can send one: a drop, not a fatal error",
     DTLSL_REASON_DROP_SHORT, is_empty, NULL, NULL, 0},
    {"message_seq 2", "a mistake of older libssl: the handshake stalls",
     DTLSL_REASON_DROP_MESSAGE_SEQ, has_message_seq_2, is_not_taken,
     libssl_takes_message_seq_2, 0},
    {"session id", "OpenSSL refuses more than 32 bytes later",
     DTLSL_REASON_DROP_SESSION_ID, has_long_session_id, is_refused, NULL, 0},
    {"cookie in message_seq 0", "the handshake stalls",
     DTLSL_REASON_DROP_COOKIE_SEQ, has_cookie_too_early, stalls, NULL, 0},
    {"record number", "above 2^48 - 2^20 with a cookie: none left",
     DTLSL_REASON_DROP_RECORD_SEQ, is_numbered_too_high, NULL, NULL, 0},
    {"malformed behind the cookie", "OpenSSL refuses it later",
     DTLSL_REASON_DROP_MALFORMED, is_whole_and_malformed, is_refused, NULL, 0},
    {"malformed fragment", "OpenSSL refuses whatever completes it",
     DTLSL_REASON_DROP_MALFORMED, is_hopeless_fragment, is_refused, NULL, 0},
    {"bad cookies over budget", "no client uses the answer to a bad cookie",
     DTLSL_REASON_DROP_BAD_COOKIE, is_over_budget, NULL, NULL, 0},
    {"strategy", "a drop, not a fatal error; no empty cookie is sent",
     DTLSL_REASON_DROP_STRATEGY, has_no_cookie_to_give, NULL, NULL, 0},
    {"amplification", "no reply is longer than its datagram",
     DTLSL_REASON_DROP_AMPLIFY, would_amplify, NULL, NULL, 0},
};

/* These two are no drops of the gate. */
static departure fixed_version = {"fixed-version method",
                                  "not imitated: a gate has no SSL",
                                  0,
                                  NULL,
                                  NULL,
                                  libssl_has_fixed_versions,
                                  0};
static departure own_record = {"own record only",
                               "what is behind the ClientHello is not trusted",
                               0,
                               NULL,
                               NULL,
                               libssl_keeps_rest,
                               0};

enum {
    DEPARTURES = sizeof(departures) / sizeof(departures[0])
};

static departure *
find_departure(const comparison *c)
{
    for (size_t i = 0; i < DEPARTURES; i++)
        if (departures[i].applies(c))
            return &departures[i];
    return NULL;
}

/* ---- comparing ---- */

/* OpenSSL's error for each reason that the gate has in common with it. */
static int
error_of(int32_t reason)
{
    static const int errors[] = {
        [DTLSL_REASON_DROP_SHORT] = SSL_R_RECORD_TOO_SMALL,
        [DTLSL_REASON_DROP_TYPE] = SSL_R_UNEXPECTED_MESSAGE,
        [DTLSL_REASON_DROP_VERSION] = SSL_R_BAD_PROTOCOL_VERSION_NUMBER,
        [DTLSL_REASON_DROP_RECORD_LENGTH] = SSL_R_LENGTH_MISMATCH,
        [DTLSL_REASON_DROP_EPOCH] = SSL_R_UNEXPECTED_MESSAGE,
        [DTLSL_REASON_DROP_MESSAGE_LENGTH] = SSL_R_LENGTH_MISMATCH,
        [DTLSL_REASON_DROP_MESSAGE_TYPE] = SSL_R_UNEXPECTED_MESSAGE,
        [DTLSL_REASON_DROP_MESSAGE_SEQ] = SSL_R_INVALID_SEQUENCE_NUMBER,
        [DTLSL_REASON_DROP_FRAGMENT] = SSL_R_FRAGMENTED_CLIENT_HELLO,
        [DTLSL_REASON_DROP_HELLO_LENGTH] = SSL_R_LENGTH_MISMATCH,
    };

    if (reason <= 0 || reason > DTLSL_REASON_DROP_HELLO_LENGTH)
        return -1;
    return errors[reason];
}

/* What SSL_accept() sent: a ServerHello has a random in it, so of a flight
 * only the record header and the type of its first message are the same. */
static int
has_same_output(const comparison *c)
{
    size_t len = c->theirs->out_len;

    if (c->theirs->action == ACCEPT && c->theirs->after == TAKEN) {
        if (c->p->whole && (len <= AT_MESSAGE || c->theirs->out[13] != 2))
            return 0;
        return (c->ours->out_len > 0) == (len > 0) &&
               memcmp(c->ours->out, c->theirs->out, len > 0 ? 11 : 0) == 0;
    }
    return len == c->ours->out_len &&
           memcmp(c->ours->out, c->theirs->out, len) == 0;
}

/* Is the SSL in the same place? */
static const char *
compare_after(const comparison *c)
{
    if (c->theirs->after == c->ours->after &&
        c->theirs->after_error == c->ours->after_error && has_same_output(c))
        return NULL;
    if (!libssl_keeps_rest() || record_end(c->p) >= c->p->len)
        return "SSL_accept() goes on differently";
    own_record.count++;
    return NULL;
}

static const char *
compare_verdicts(const comparison *c)
{
    if (c->ours->leaves_errors)
        return "the gate leaves an error";
    if (c->ours->action != c->theirs->action)
        return "different verdicts";
    switch (c->ours->action) {
    case DROP:
        return c->theirs->reason == error_of(c->ours->reason)
                   ? NULL
                   : "dropped for different reasons";
    case REPLY:
        return has_same_output(c) ? NULL : "different replies";
    default:
        return compare_after(c);
    }
}

static const char *
compare_departed(const comparison *c, departure *d)
{
    if (c->ours->leaves_errors)
        return "the gate leaves an error";
    if (c->ours->action != DROP || c->ours->reason != d->reason)
        return "a departure is not taken";
    if (d->is_proven != NULL && !d->is_proven(c))
        return "OpenSSL does not refuse what the gate drops";
    d->count++;
    return NULL;
}

/* How DTLSv1_listen() with a fixed version differs from itself: it sends
 * another record version, and wants a client_version that is not older. */
static const char *
compare_fixed(const comparison *usual, const outcome *fixed)
{
    outcome reply = *fixed;

    if (usual->theirs->action == fixed->action && fixed->action != REPLY)
        return NULL;
    if (fixed->action == DROP && fixed->reason == SSL_R_WRONG_VERSION_NUMBER &&
        get16(usual->p->data + AT_BODY) > 0xfefd) {
        fixed_version.count++;
        return NULL;
    }
    reply.out[AT_VERSION + 1] = 0xff;
    if (fixed->action != REPLY || fixed->out[AT_VERSION + 1] != 0xfd ||
        usual->theirs->action != REPLY ||
        reply.out_len != usual->theirs->out_len ||
        memcmp(reply.out, usual->theirs->out, reply.out_len) != 0)
        return "a fixed version makes another difference";
    fixed_version.count++;
    return NULL;
}

/* ---- counting and telling ---- */

static void
count_class(const char *name)
{
    size_t i = 0;

    while (i < n_classes && strcmp(classes[i].name, name) != 0)
        i++;
    need(i < CLASSES_MAX, "there is room for all classes");
    if (i == n_classes) {
        snprintf(classes[i].name, sizeof(classes[i].name), "%s", name);
        n_classes++;
    }
    classes[i].count++;
}

static void
count_agreement(const comparison *c)
{
    static const char *const reasons[] = {
        "",
        "no whole record header",
        "type",
        "version",
        "record length",
        "epoch",
        "message length",
        "message type",
        "message_seq",
        "not a first fragment",
        "ClientHello too short",
    };
    static const char *const afters[] = {"", "goes on", "refused",
                                         "waits for more"};
    char name[80];

    if (c->ours->action == DROP)
        snprintf(name, sizeof(name), "both drop: %s",
                 reasons[c->ours->reason]);
    else if (c->ours->action == REPLY)
        snprintf(name, sizeof(name), "both reply: %s",
                 has_cookie(c->p) ? "bad cookie" : "no cookie");
    else
        snprintf(name, sizeof(name), "both accept: SSL_accept() %s",
                 afters[c->ours->after]);
    count_class(name);
}

static void
show_outcome(const char *who, const outcome *o)
{
    static const char *const actions[] = {"DROP", "REPLY", "ACCEPT", "FATAL"};

    printf("  %s: %s, reason %d, after %d, error %d, %zu bytes:", who,
           actions[o->action], o->reason, o->after, o->after_error,
           o->out_len);
    for (size_t i = 0; i < o->out_len && i < 64; i++)
        printf(" %02x", o->out[i]);
    putchar('\n');
}

static void
show(const comparison *c, const char *what)
{
    n_differences++;
    printf("case %llu (%s): %s\n", (unsigned long long)n_cases, c->p->kind,
           what);
    show_outcome("DTLSv1_listen", c->theirs);
    show_outcome("the gate", c->ours);
    printf("  path %d, cookie %d of %u bytes, %zu bytes:", c->p->path,
           c->p->cookie, c->p->cookie_len, c->p->len);
    for (size_t i = 0; i < c->p->len && i < 600; i++)
        printf("%s%02x", i % 24 == 0 ? "\n    " : " ", c->p->data[i]);
    putchar('\n');
}

static void
judge(probe *p)
{
    static outcome theirs, ours, fixed;
    comparison c = {p, &theirs, &ours};
    const char *what = NULL;
    departure *d;

    if (n_differences >= SHOWN_MAX)
        return;
    n_cases++;
    if (p->wait_ms > 0)
        bad_cookies = 0;
    fixed.action = -1;
    if (p->fixed && libssl_has_fixed_versions())
        ask_openssl(p, &fixed);
    p->fixed = 0;
    ask_openssl(p, &theirs);
    ask_gate(p, &ours);
    if (fixed.action >= 0)
        what = compare_fixed(&c, &fixed);
    d = find_departure(&c);
    if (what == NULL)
        what = d != NULL ? compare_departed(&c, d) : compare_verdicts(&c);
    if (what != NULL)
        show(&c, what);
    else if (d == NULL)
        count_agreement(&c);
}

static void
print_row(uint64_t count, const char *name, const char *why)
{
    printf("%12llu  %-36s %s\n", (unsigned long long)count, name, why);
}

static int
print_departure(const departure *d)
{
    print_row(d->count, d->name, d->why);
    if (d->count > 0 || (d->is_possible != NULL && !d->is_possible()))
        return 0;
    printf("              never happened: the table has a dead row\n");
    return 1;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const class_count *)a)->name,
                  ((const class_count *)b)->name);
}

static int
print_table(void)
{
    int dead = 0;

    qsort(classes, n_classes, sizeof(classes[0]), by_name);
    for (size_t i = 0; i < n_classes; i++)
        print_row(classes[i].count, classes[i].name, "");
    printf("intended departures:\n");
    for (size_t i = 0; i < DEPARTURES; i++)
        dead += print_departure(&departures[i]);
    dead += print_departure(&fixed_version);
    dead += print_departure(&own_record);
    return dead;
}

/* ---- the program ---- */

static int
read_number(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 0);
    return *text != '\0' && *end == '\0';
}

int
main(int argc, char **argv)
{
    uint64_t seed = 20261128;
    uint64_t count = 100000;
    uint64_t systematic;
    int dead = 0;

    for (int i = 1; i < argc; i++) {
        int is_seed = strcmp(argv[i], "--seed") == 0 && i + 1 < argc;

        if (!read_number(argv[i + is_seed], is_seed ? &seed : &count)) {
            fprintf(stderr, "usage: differential [--seed N] [COUNT]\n");
            return 2;
        }
        i += is_seed;
    }
    sides_open();
    hellos_open();
    printf("%s, seed %llu, count %llu\n", OpenSSL_version(OPENSSL_VERSION),
           (unsigned long long)seed, (unsigned long long)count);
    cases_systematic(judge);
    systematic = n_cases;
    for (uint64_t i = 0; n_cases < count && n_differences < SHOWN_MAX; i++)
        cases_random(seed, i, judge);
    sides_close();
    if (n_differences == 0)
        dead = print_table();
    printf("differential: %llu cases (%llu systematic), %llu differences\n",
           (unsigned long long)n_cases, (unsigned long long)systematic,
           (unsigned long long)n_differences);
    return n_differences > 0 || dead > 0;
}
