/* SPDX-License-Identifier: MIT
 * The random cases of the differential test: several things wrong at once, and
 * often right again where it matters. */
#include "differential.h"
#include <string.h>

static probe q; /* the case that is being made */
static uint64_t state;

static uint32_t
draw(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) * below >> 32);
}

/* Most of what matters is in the headers and around the cookie. */
static size_t
draw_place(void)
{
    size_t at = draw((uint32_t)q.len);

    switch (draw(4)) {
    case 0:
        at = draw(AT_BODY);
        break;
    case 1:
        at = AT_SESSION_ID + draw(48);
        break;
    case 2:
        at = AT_SESSION_ID + draw(3) + draw(2) * COOKIE_LEN;
        break;
    default:
        break;
    }
    return at < q.len ? at : q.len - 1;
}

static void
change_byte(void)
{
    static const uint8_t odd[] = {0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff};
    uint8_t *p = q.data + draw_place();

    switch (draw(4)) {
    case 0:
        *p ^= (uint8_t)(1U << draw(8));
        break;
    case 1:
        *p = odd[draw(sizeof(odd))];
        break;
    case 2:
        *p = (uint8_t)draw(256);
        break;
    default:
        *p = (uint8_t)(*p + 1 - 2 * draw(2));
        break;
    }
}

/* Bytes appear or vanish, mostly with lengths that fit again. */
static void
change_size(void)
{
    uint8_t noise[40];
    size_t at = draw_place();
    size_t old = draw(2) * draw(20);
    size_t fresh = draw(2) * draw(sizeof(noise));

    for (size_t i = 0; i < fresh; i++)
        noise[i] = (uint8_t)draw(256);
    if (probe_splice(&q, at, old, noise, fresh) && draw(4) > 0)
        probe_add_lengths(&q, (int32_t)fresh - (int32_t)old);
}

static void
change_session_id(void)
{
    static const uint8_t lens[] = {0, 1, 31, 32, 33, 34, 200};
    uint8_t vector[256];
    size_t len = lens[draw(sizeof(lens))];

    if (q.len < AT_SESSION_ID + 1U + q.data[AT_SESSION_ID])
        return;
    memset(vector, 0x5a, sizeof(vector));
    vector[0] = (uint8_t)len;
    probe_add_lengths(&q, (int32_t)len - q.data[AT_SESSION_ID]);
    probe_splice(&q, AT_SESSION_ID, 1U + q.data[AT_SESSION_ID], vector,
                 1 + len);
}

/* Where the vector ends whose length is at 'at', or 0 outside. */
static size_t
vector_end(size_t at, unsigned bytes)
{
    if (at == 0 || at + bytes > q.len)
        return 0;
    return at + bytes + (bytes == 1 ? q.data[at] : get16(q.data + at));
}

/* One extension more at the end, of a kind that OpenSSL may know. */
static void
change_extensions(void)
{
    uint8_t extension[4 + 16];
    uint32_t len = draw(17);
    size_t at = vector_end(AT_SESSION_ID, 1);

    at = vector_end(vector_end(vector_end(at, 1), 2), 1);
    if (at == 0 || at + 2 > q.len)
        return;
    put16(extension, draw(52));
    put16(extension + 2, len);
    for (uint32_t i = 0; i < len; i++)
        extension[4 + i] = (uint8_t)draw(4);
    put16(q.data + at, get16(q.data + at) + 4 + len);
    probe_append(&q, extension, 4 + len);
    probe_add_lengths(&q, (int32_t)(4 + len));
}

static void
change_cookie(void)
{
    uint8_t cookie[255];

    for (size_t i = 0; i < sizeof(cookie); i++)
        cookie[i] = (uint8_t)draw(256);
    switch (draw(4)) {
    case 0:
        probe_set_cookie(&q, cookie, 0);
        break;
    case 1:
        probe_set_cookie(&q, cookie, draw(256));
        break;
    default:
        probe_put_cookie(&q);
        break;
    }
    put16(q.data + AT_MESSAGE_SEQ, draw(8) > 0);
}

static void
change_datagram(void)
{
    size_t other = draw(EXTRAS + HELLOS);
    const uint8_t *data =
        other < EXTRAS ? extras[other].bytes : hellos[other - EXTRAS].data;
    size_t len =
        other < EXTRAS ? extras[other].len : hellos[other - EXTRAS].len;

    switch (draw(5)) {
    case 0:
        q.len = draw_place() + 1;
        break;
    case 1:
        probe_append(&q, data, len);
        break;
    case 2:
        probe_splice(&q, 0, 0, data, draw(4) == 0 ? len : 0);
        break;
    case 3:
        probe_cut(&q, draw_place() + 1, 1);
        break;
    default:
        probe_cut(&q, draw_place() + 1, 0);
        break;
    }
}

static void
change_length(void)
{
    static const field fields[] = {{AT_RECORD_LENGTH, 2},
                                   {AT_MESSAGE_LENGTH, 3},
                                   {AT_OFFSET, 3},
                                   {AT_FRAGMENT_LENGTH, 3},
                                   {AT_SESSION_ID, 1}};
    const field *f = &fields[draw(5)];

    if (f->at + f->bytes <= q.len)
        probe_set_field(&q, f, (int)draw(6));
}

static void
mutate(void)
{
    static void (*const changes[])(void) = {
        change_byte,   change_byte,   change_byte,       change_byte,
        change_size,   change_size,   change_session_id, change_extensions,
        change_cookie, change_cookie, change_datagram,   change_length,
    };

    if (q.len > 0)
        changes[draw(sizeof(changes) / sizeof(changes[0]))]();
}

void
cases_random(uint64_t seed, uint64_t index, judge_fn *judge)
{
    state = (seed + index * 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
    state = (state ^ state >> 31) | 1;
    for (int i = 0; i < 4; i++)
        draw(2);
    probe_start(&q, draw(HELLOS), "at random");
    for (uint32_t n = 1 + draw(5); n > 0; n--)
        mutate();
    /* Right again where it matters, so that what is behind gets its turn. */
    if (draw(3) == 0 && q.len > AT_BODY)
        probe_cut(&q, q.len, draw(4) == 0);
    if (draw(3) == 0 && q.len > AT_SESSION_ID && probe_put_cookie(&q))
        put16(q.data + AT_MESSAGE_SEQ, 1);
    if (draw(16) == 0)
        q.cookie_len = 1 + draw(255);
    q.fixed = draw(64) == 0;
    q.path = draw(64) == 0 ? (int)draw(PATHS) : PATH_GOOD;
    q.cookie = draw(64) == 0 ? (int)draw(COOKIES) : COOKIE_GOOD;
    judge(&q);
}
