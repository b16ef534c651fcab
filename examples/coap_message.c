/* SPDX-License-Identifier: MIT
 * The resources /hello, /time and /.well-known/core by CoAP (RFC 7252), whose
 * sections the comments name. */
#include "coap_message.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    CON = 0,
    NON = 1,
    ACK = 2,
    RST = 3
};

enum {
    EMPTY = 0x00,
    GET = 0x01,
    METHOD_MAX = 0x1f,
    CONTENT = 0x45,
    BAD_OPTION = 0x82,
    NOT_FOUND = 0x84,
    METHOD_NOT_ALLOWED = 0x85,
    NOT_ACCEPTABLE = 0x86,
    PROXYING_NOT_SUPPORTED = 0xa5
};

enum {
    URI_HOST = 3,
    URI_PORT = 7,
    URI_PATH = 11,
    CONTENT_FORMAT = 12,
    URI_QUERY = 15,
    ACCEPT = 17,
    PROXY_URI = 35,
    PROXY_SCHEME = 39
};

enum {
    VERSION = 1,
    HEADER_LEN = 4,
    TOKEN_MAX = 8,
    PAYLOAD_MARKER = 0xff
};

typedef struct bytes {
    const uint8_t *data;
    size_t len;
} bytes;

typedef struct request {
    uint8_t method;
    uint8_t refusal; /* the code for the first option that is in the way */
    bool elsewhere;  /* no resource has such a path */
    size_t path_len;
    char path[32]; /* "/" before each segment, no NUL behind the last */
    int32_t accept;
} request;

static void
skip(bytes *in, size_t len)
{
    in->data += len;
    in->len -= len;
}

/* Reads an option's delta or length (section 3.1). */
static bool
read_extended(bytes *in, uint32_t nibble, uint32_t *value)
{
    if (nibble < 13) {
        *value = nibble;
    } else if (nibble == 13 && in->len >= 1) {
        *value = 13U + in->data[0];
        skip(in, 1);
    } else if (nibble == 14 && in->len >= 2) {
        *value = 269U + 256U * in->data[0] + in->data[1];
        skip(in, 2);
    } else {
        return false;
    }
    return true;
}

/* Whether an option may be there (section 5.4 and 5.10). */
static bool
is_understood(uint32_t number, size_t len, bool again)
{
    if (number % 2 == 0) /* elective */
        return true;
    switch (number) {
    case URI_PATH:
    case URI_QUERY:
        return len <= 255;
    case URI_HOST:
        return len >= 1 && len <= 255 && !again;
    case URI_PORT:
    case ACCEPT:
        return len <= 2 && !again;
    default:
        return false;
    }
}

static void
add_segment(request *r, const uint8_t *segment, size_t len)
{
    if (memchr(segment, '/', len) != NULL ||
        len >= sizeof(r->path) - r->path_len) {
        r->elsewhere = true;
        return;
    }
    r->path[r->path_len++] = '/';
    memcpy(r->path + r->path_len, segment, len);
    r->path_len += len;
}

static void
take_option(request *r, uint32_t number, bytes value, bool again)
{
    if (r->refusal != 0)
        return;
    if (number == PROXY_URI || number == PROXY_SCHEME)
        r->refusal = PROXYING_NOT_SUPPORTED;
    else if (!is_understood(number, value.len, again))
        r->refusal = BAD_OPTION;
    else if (number == URI_PATH)
        add_segment(r, value.data, value.len);
    else if (number == ACCEPT)
        for (r->accept = 0; value.len > 0; skip(&value, 1))
            r->accept = r->accept << 8 | value.data[0];
}

/* Options, up to the payload; false if they are malformed. */
static bool
read_options(request *r, bytes in)
{
    uint32_t number = 0;
    uint32_t delta;
    uint32_t len;

    while (in.len > 0 && in.data[0] != PAYLOAD_MARKER) {
        uint8_t first = in.data[0];

        skip(&in, 1);
        if (!read_extended(&in, first >> 4, &delta) ||
            !read_extended(&in, first & 15, &len) || len > in.len)
            return false;
        number += delta;
        take_option(r, number, (bytes){in.data, len}, delta == 0);
        skip(&in, len);
    }
    return in.len != 1; /* a marker without payload */
}

static bool
path_is(const request *r, const char *path)
{
    return !r->elsewhere && r->path_len == strlen(path) &&
           memcmp(r->path, path, r->path_len) == 0;
}

/* The text of a resource; returns its Content-Format, -1 without one. */
static int32_t
read_resource(const request *r, const char *peer, time_t now, char *text,
              size_t size)
{
    struct tm utc;

    if (path_is(r, "/hello")) {
        snprintf(text, size, "hello, %s", peer);
        return 0;
    }
    if (path_is(r, "/time") && gmtime_r(&now, &utc) != NULL) {
        strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
        return 0;
    }
    if (path_is(r, "/.well-known/core")) {
        snprintf(text, size, "</hello>;ct=0,</time>;ct=0");
        return 40;
    }
    return -1;
}

/* Writes what follows the token, adds its length; returns the code. */
static uint8_t
respond(const request *r, const char *peer, time_t now, uint8_t *out,
        size_t *len)
{
    char text[128];
    int32_t format = read_resource(r, peer, now, text, sizeof(text));
    uint8_t *start = out;

    if (r->refusal != 0)
        return r->refusal;
    if (format < 0)
        return NOT_FOUND;
    if (r->method != GET)
        return METHOD_NOT_ALLOWED;
    if (r->accept >= 0 && r->accept != format)
        return NOT_ACCEPTABLE;
    *out++ = (uint8_t)(CONTENT_FORMAT << 4 | (format != 0));
    if (format != 0)
        *out++ = (uint8_t)format;
    *out++ = PAYLOAD_MARKER;
    memcpy(out, text, strlen(text));
    *len += (size_t)(out - start) + strlen(text);
    return CONTENT;
}

/* What is empty, malformed or no request (section 4.2 and 4.3). */
static size_t
reject(const uint8_t *message, uint8_t type, uint8_t *answer)
{
    if (type != CON)
        return 0;
    memcpy(answer, message, HEADER_LEN);
    answer[0] = VERSION << 6 | RST << 4;
    answer[1] = EMPTY;
    return HEADER_LEN;
}

size_t
coap_answer(const uint8_t *message, size_t len, const char *peer, time_t now,
            uint8_t answer[COAP_ANSWER_MAX])
{
    request r = {.accept = -1};
    size_t answer_len;
    uint8_t type;

    if (len < HEADER_LEN || message[0] >> 6 != VERSION)
        return 0;
    type = message[0] >> 4 & 3;
    if (type == ACK || type == RST)
        return 0;
    r.method = message[1];
    answer_len = HEADER_LEN + (message[0] & 15U);
    if (r.method == EMPTY || r.method > METHOD_MAX ||
        answer_len > HEADER_LEN + TOKEN_MAX || answer_len > len ||
        !read_options(&r, (bytes){message + answer_len, len - answer_len}))
        return reject(message, type, answer);
    if (r.refusal == BAD_OPTION && type == NON)
        return 0;
    /* Version, token length, message id and token are the request's. */
    memcpy(answer, message, answer_len);
    if (type == CON)
        answer[0] |= ACK << 4;
    answer[1] = respond(&r, peer, now, answer + answer_len, &answer_len);
    return answer_len;
}
