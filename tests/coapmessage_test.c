/* SPDX-License-Identifier: MIT
 * The protocol of examples/coap.c against tests/vectors/coap.txt, and with
 * damaged messages. */
#include "coap_message.h"
#include "test.h"
#include <stdbool.h>
#include <stdio.h>

#define PEER "192.0.2.1:49152"

enum {
    NOW = 1767225600,
    MESSAGE_MAX = 512,
    MUTANTS = 2000 /* of each vector */
};

typedef struct vector {
    char name[64];
    uint8_t message[MESSAGE_MAX];
    uint8_t wanted[COAP_ANSWER_MAX];
    size_t len;
    size_t wanted_len;
} vector;

static uint64_t seed = 1;

static uint32_t
draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

/* ---- the file ---- */

static size_t
from_hex(const char *hex, uint8_t *out, size_t size)
{
    size_t len = 0;
    unsigned int byte;

    if (strcmp(hex, "-") == 0)
        return 0;
    for (; hex[0] != '\0'; hex += 2) {
        ck_assert_uint_lt(len, size);
        ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
        out[len++] = (uint8_t)byte;
    }
    return len;
}

static bool
next_vector(FILE *f, vector *v)
{
    char line[2048], message[2 * MESSAGE_MAX], wanted[2 * COAP_ANSWER_MAX];

    while (fgets(line, sizeof(line), f) != NULL) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        ck_assert_int_eq(
            sscanf(line, "%63s %1023s %511s", v->name, message, wanted), 3);
        v->len = from_hex(message, v->message, sizeof(v->message));
        v->wanted_len = from_hex(wanted, v->wanted, sizeof(v->wanted));
        return true;
    }
    return false;
}

static size_t
for_each_vector(void (*check)(const vector *v))
{
    FILE *f = fopen(TEST_SRCDIR "/vectors/coap.txt", "r");
    size_t n = 0;
    vector v;

    ck_assert_ptr_nonnull(f);
    for (; next_vector(f, &v); n++)
        check(&v);
    fclose(f);
    return n;
}

/* ---- checks ---- */

/* From and to buffers of exactly these sizes, for the sanitizer. */
static size_t
answer(const uint8_t *message, size_t len, uint8_t *out)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    uint8_t *exact = malloc(COAP_ANSWER_MAX);
    size_t out_len;

    ck_assert_ptr_nonnull(copy);
    ck_assert_ptr_nonnull(exact);
    memcpy(copy, message, len);
    out_len = coap_answer(copy, len, PEER, NOW, exact);
    ck_assert_uint_le(out_len, COAP_ANSWER_MAX);
    memcpy(out, exact, out_len);
    free(copy);
    free(exact);
    return out_len;
}

static void
check_answer(const vector *v)
{
    uint8_t out[COAP_ANSWER_MAX];
    size_t len = answer(v->message, v->len, out);

    ck_assert_msg(len == v->wanted_len && memcmp(out, v->wanted, len) == 0,
                  "%s: not the answer", v->name);
}

/* Whatever came: an answer has the request's id, and its token if it is a
 * response; confirmable messages get ACK or RST, others NON or nothing. */
static void
check_sane(const uint8_t *message, const uint8_t *out, size_t len)
{
    int type = message[0] >> 4 & 3;
    int out_type = out[0] >> 4 & 3;
    size_t token_len = out[0] & 15U;

    ck_assert_uint_ge(len, 4 + token_len);
    ck_assert_int_eq(out[0] >> 6, 1);
    ck_assert_mem_eq(out + 2, message + 2, 2);
    if (type == 0 && out_type == 3) {
        ck_assert_uint_eq(len, 4);
        ck_assert_int_eq(out[1], 0);
        return;
    }
    ck_assert_int_eq(out_type, type == 0 ? 2 : 1);
    ck_assert_int_le(type, 1);
    ck_assert_uint_eq(token_len, message[0] & 15U);
    ck_assert_mem_eq(out + 4, message + 4, token_len);
    ck_assert_int_ge(out[1] >> 5, 2);
}

static size_t
mutate(const vector *v, uint8_t *out)
{
    size_t len = v->len;

    memcpy(out, v->message, len);
    for (uint32_t n = 1 + draw(3); n > 0 && len > 0; n--)
        switch (draw(3)) {
        case 0:
            out[draw((uint32_t)len)] = (uint8_t)draw(256);
            break;
        case 1:
            len = draw((uint32_t)len + 1);
            break;
        default:
            if (len < MESSAGE_MAX)
                out[len++] = (uint8_t)draw(256);
        }
    return len;
}

static void
check_mutants(const vector *v)
{
    uint8_t message[MESSAGE_MAX], out[COAP_ANSWER_MAX];

    for (int i = 0; i < MUTANTS; i++) {
        size_t len = mutate(v, message);
        size_t out_len = answer(message, len, out);

        if (out_len > 0)
            check_sane(message, out, out_len);
    }
}

START_TEST(each_message_has_its_answer)
{
    ck_assert_uint_ge(for_each_vector(check_answer), 70);
}
END_TEST

START_TEST(damaged_messages_are_answered_in_form_or_not_at_all)
{
    for_each_vector(check_mutants);
}
END_TEST

START_TEST(the_longest_address_fits)
{
    static const uint8_t hello[] = "\x40\x01\x12\x34\xb5hello";
    uint8_t out[COAP_ANSWER_MAX];
    char peer[96];
    size_t len;

    memset(peer, 'x', sizeof(peer));
    peer[sizeof(peer) - 1] = '\0';
    len = coap_answer(hello, sizeof(hello) - 1, peer, NOW, out);
    ck_assert_uint_eq(len, 4 + 2 + strlen("hello, ") + strlen(peer));
    ck_assert_mem_eq(out + len - strlen(peer), peer, strlen(peer));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        each_message_has_its_answer,
        damaged_messages_are_answered_in_form_or_not_at_all,
        the_longest_address_fits,
    };

    return test_main(
        test_suite("coapmessage", tests, sizeof(tests) / sizeof(tests[0])));
}
