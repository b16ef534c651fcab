/* SPDX-License-Identifier: MIT
 * Datagrams for the differential test: the captured ClientHellos, and the ways
 * to change them. */
#include "differential.h"
#include <stdio.h>
#include <string.h>

enum {
    STEP_MS = 20 /* more than what an answer to a bad cookie takes */
};

/* NAME-1 is a first ClientHello, NAME-2 the one with a cookie, NAME-3 a later
 * fragment of it. */
capture hellos[] = {
    {.name = "openssl-1"},
    {.name = "openssl-2"},
    {.name = "openssl-fragmented-1"},
    {.name = "openssl-fragmented-2"},
    {.name = "openssl-fragmented-3"},
    {.name = "gnutls-1"},
    {.name = "gnutls-2"},
    {.name = "ncat-1"},
    {.name = "ncat-2"},
    {.name = "ncat-3"},
    {.name = "coap-openssl-1"},
    {.name = "coap-openssl-2"},
    {.name = "coap-gnutls-1"},
    {.name = "coap-gnutls-2"},
    {.name = "mbedtls-1"},
    {.name = "mbedtls-2"},
    {.name = "wolfssl-1"},
    {.name = "wolfssl-2"},
};

/* ---- numbers ---- */

uint32_t
get16(const uint8_t *p)
{
    return (uint32_t)p[0] * 256 + p[1];
}

uint32_t
get24(const uint8_t *p)
{
    return get16(p) * 256 + p[2];
}

uint64_t
get48(const uint8_t *p)
{
    return ((uint64_t)get24(p) << 24) + get24(p + 3);
}

void
put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

void
put24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 16);
    put16(p + 1, value);
}

void
put48(uint8_t *p, uint64_t value)
{
    put24(p, (uint32_t)(value >> 24));
    put24(p + 3, (uint32_t)value);
}

uint32_t
record_end(const probe *p)
{
    return AT_MESSAGE + get16(p->data + AT_RECORD_LENGTH);
}

/* ---- making ---- */

int
is_kind(size_t base, char number)
{
    const char *name = hellos[base].name;

    return name[strlen(name) - 1] == number;
}

void
probe_start(probe *p, size_t base, const char *kind)
{
    memcpy(p->data, hellos[base].data, hellos[base].len);
    p->len = hellos[base].len;
    p->kind = kind;
    p->path = PATH_GOOD;
    p->cookie = COOKIE_GOOD;
    p->cookie_len = COOKIE_LEN;
    p->fixed = 0;
    p->whole = 0;
    p->wait_ms = STEP_MS;
}

void
add_field(uint8_t *at, unsigned bytes, int32_t value)
{
    if (bytes == 3)
        put24(at, (uint32_t)((int32_t)get24(at) + value));
    else if (bytes == 2)
        put16(at, (uint32_t)((int32_t)get16(at) + value));
    else
        *at = (uint8_t)(*at + value);
}

/* All three lengths, by the same; those that were wrong stay so. */
void
probe_add_lengths(probe *p, int32_t value)
{
    add_field(p->data + AT_RECORD_LENGTH, 2, value);
    add_field(p->data + AT_MESSAGE_LENGTH, 3, value);
    add_field(p->data + AT_FRAGMENT_LENGTH, 3, value);
}

/* Lets 'fresh' bytes take the place of 'old' ones. */
int
probe_splice(probe *p, size_t at, size_t old, const void *data, size_t fresh)
{
    if (at + old > p->len || p->len - old + fresh > DATAGRAM_MAX)
        return 0;
    memmove(p->data + at + fresh, p->data + at + old, p->len - at - old);
    if (fresh > 0)
        memcpy(p->data + at, data, fresh);
    p->len = p->len - old + fresh;
    return 1;
}

int
probe_set_cookie(probe *p, const uint8_t *cookie, size_t len)
{
    size_t at = AT_SESSION_ID + 1U + p->data[AT_SESSION_ID];
    uint8_t vector[256];
    int32_t more;

    if (p->len <= at || p->len < at + 1 + p->data[at])
        return 0;
    more = (int32_t)len - p->data[at];
    if (get16(p->data + AT_RECORD_LENGTH) + (uint32_t)more > 16384)
        return 0;
    vector[0] = (uint8_t)len;
    memcpy(vector + 1, cookie, len);
    if (!probe_splice(p, at, 1U + p->data[at], vector, 1 + len))
        return 0;
    /* The longest message stays the longest. */
    if (get24(p->data + AT_MESSAGE_LENGTH) + (uint32_t)more > 0xffffff)
        add_field(p->data + AT_MESSAGE_LENGTH, 3, -more);
    probe_add_lengths(p, more);
    return 1;
}

int
probe_put_cookie(probe *p)
{
    uint8_t cookie[255];

    make_cookie(p, p->data + AT_BODY, cookie);
    return probe_set_cookie(p, cookie, p->cookie_len);
}

void
probe_append(probe *p, const void *data, size_t len)
{
    if (len <= DATAGRAM_MAX - p->len) {
        memcpy(p->data + p->len, data, len);
        p->len += len;
    }
}

void
probe_append_zeros(probe *p, size_t len)
{
    if (len <= DATAGRAM_MAX - p->len) {
        memset(p->data + p->len, 0, len);
        p->len += len;
    }
}

/* The datagram ends here: so does the record, and a fragment or the whole
 * message. */
void
probe_cut(probe *p, size_t len, int is_fragment)
{
    p->len = len;
    if (len < AT_BODY)
        return;
    put16(p->data + AT_RECORD_LENGTH, (uint32_t)len - AT_MESSAGE);
    put24(p->data + AT_FRAGMENT_LENGTH, (uint32_t)len - AT_BODY);
    if (!is_fragment)
        put24(p->data + AT_MESSAGE_LENGTH, (uint32_t)len - AT_BODY);
}

void
probe_set_field(probe *p, const field *f, int how)
{
    uint8_t *at = p->data + f->at;

    if (how < 4) {
        memset(at, how < 2 ? 0 : 0xff, f->bytes);
        if (how == 1)
            at[f->bytes - 1] = 1;
        if (how == 3)
            at[0] = 0x7f;
    } else
        add_field(at, f->bytes, how == 4 ? 1 : -1);
}

/* What else may be in a datagram. */
const extra extras[EXTRAS] = {
    {{21, 0xfe, 0xfd, [12] = 2, 2, 40}, 15},         /* a fatal alert */
    {{21, 0xfe, 0xfd, [12] = 2, 1, 0}, 15},          /* close_notify */
    {{21, 0xfe, 0xfd, [12] = 2, 1, 90}, 15},         /* a warning */
    {{20, 0xfe, 0xfd, [12] = 1, 1}, 14},             /* ChangeCipherSpec */
    {{23, 0xfe, 0xfd, [12] = 3, 'a', 'b', 'c'}, 16}, /* application data */
    {{23, 0xfe, 0xfd, 0, 1, [12] = 3, 'a', 'b', 'c'}, 16}, /* epoch 1 */
    {{22, 0xfe, 0xfd, [12] = 0}, 13},                /* an empty record */
    {{22, 0xfe, 0xfd, [12] = 12, 16, [18] = 2}, 25}, /* ClientKeyExchange */
    {{22, 0xfe, 0xfd, [12] = 4, 16, 0, 0, 1}, 17},   /* too short for one */
    {{25, 0xfe, 0xfd, [12] = 1, 7}, 14},             /* with a connection id */
    {"GET / HTTP/1.1", 14},
};

/* ---- the captured hellos ---- */

static void
load(capture *h)
{
    char path[1024];
    FILE *file;

    snprintf(path, sizeof(path), "%s/hellos/%s.bin", TEST_SRCDIR, h->name);
    file = fopen(path, "rb");
    need(file != NULL, path);
    h->len = fread(h->data, 1, sizeof(h->data), file);
    need(h->len > AT_BODY && h->len < sizeof(h->data), path);
    fclose(file);
}

void
hellos_open(void)
{
    static probe first;

    for (size_t i = 0; i < HELLOS; i++) {
        load(&hellos[i]);
        if (!is_kind(i, '2'))
            continue;
        probe_start(&first, i, "");
        need(probe_put_cookie(&first),
             "a captured ClientHello has room for a cookie");
        memcpy(hellos[i].data, first.data, first.len);
        hellos[i].len = first.len;
    }
}
