/* SPDX-License-Identifier: MIT
 * The key file's reader: what it refuses, and with which words. What it makes
 * of good files is in vectors_test. */
#include "keyfile.h"
#include "test.h"
#include <stdio.h>

#define HEAD "dtlslisten-cluster-keys 1\n"
#define HEX32 "00112233445566778899aabbccddeeff"
#define HEX64 HEX32 HEX32
#define HEX512 HEX64 HEX64 HEX64 HEX64 HEX64 HEX64 HEX64 HEX64
#define KEY "key 7 1000 2000 hex:" HEX64
#define NAME64 \
    "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01"
#define BOTH(text) text, sizeof(text) - 1

static char err[256];

static int32_t
parse(dtlsl__keyfile *file, const void *text, size_t len)
{
    uint8_t *copy = malloc(len + 1); /* exact, for the sanitizer */
    int32_t status;

    memcpy(copy, text, len);
    copy = realloc(copy, len > 0 ? len : 1);
    err[0] = '\0';
    memset(file, 0xa5, sizeof(*file));
    status = dtlsl__keyfile_parse(file, copy, len, err, sizeof(err));
    free(copy);
    return status;
}

/* Refused, with a text that has no piece of a secret, and nothing is left. */
static void
check_refused(const void *text, size_t len)
{
    static const dtlsl__keyfile nothing;
    static const char digits[] = HEX32;
    dtlsl__keyfile file;

    ck_assert_int_eq(parse(&file, text, len), DTLSL_ERR_FILE);
    ck_assert_mem_eq(&file, &nothing, sizeof(file));
    ck_assert_uint_gt(strlen(err), 10);
    for (size_t i = 0; i + 8 <= 32; i++) {
        char piece[9] = "";

        memcpy(piece, digits + i, 8);
        ck_assert_ptr_null(strstr(err, piece));
    }
}

START_TEST(each_wrong_line_is_named_with_a_remedy)
{
    static const struct {
        const char *text;
        size_t len;
        const char *where;
        const char *remedy;
    } rows[] = {
        /* the header */
        {BOTH(""), "no key", "add one"},
        {BOTH("\n" HEAD KEY "\n"), "line 1", "dtlslisten-cluster-keys 1"},
        {BOTH(" " HEAD KEY "\n"), "line 1", "is not"},
        {BOTH("dtlslisten-cluster-keys 2\n" KEY "\n"), "line 1", "version"},
        {BOTH("dtlslisten-cluster-keys 1 \n" KEY "\n"), "line 1", "is not"},
        {BOTH("\xef\xbb\xbf" HEAD KEY "\n"), "line 1", "is not"},
        {BOTH(KEY "\n"), "line 1", "is not"},
        {BOTH("dtlslisten-cluster-keys 1"), "line 1", "does not end"},
        {BOTH(HEAD), "no key", "add one"},
        {BOTH(HEAD "# key 7\n\n"), "no key", "add one"},
        {BOTH(HEAD "service coap\n"), "no key", "add one"},
        /* lines */
        {BOTH(HEAD KEY), "line 2", "end the last line"},
        {BOTH(HEAD KEY "\n# torn"), "line 3", "end the last line"},
        {BOTH(HEAD KEY "\r"), "line 2", "end the last line"},
        {BOTH(HEAD "keys 7\n"), "line 2", "put # before it"},
        {BOTH(HEAD "KEY 7\n"), "line 2", "put # before it"},
        {BOTH(HEAD KEY "\n-\n"), "line 3", "put # before it"},
        {BOTH(HEAD KEY " # a comment\n"), "line 2", "more words"},
        {BOTH(HEAD KEY "\0\n"), "line 2", "plain text"},
        {BOTH(HEAD "#\0\n" KEY "\n"), "line 2", "plain text"},
        {BOTH(HEAD "# \x1b[2J\n" KEY "\n"), "line 2", "plain text"},
        {BOTH(HEAD "# \x7f\n" KEY "\n"), "line 2", "plain text"},
        {BOTH(HEAD "key\r7 1 - hex:" HEX64 "\n"), "line 2", "plain text"},
        {BOTH(HEAD KEY "\r\r\n"), "line 2", "plain text"},
        /* the service */
        {BOTH(HEAD "service\n" KEY "\n"), "line 2", "no name"},
        {BOTH(HEAD "service " NAME64 NAME64 NAME64 NAME64 "\n" KEY "\n"),
         "line 2", "255 bytes"},
        {BOTH(HEAD "service a\nservice a\n" KEY "\n"), "line 3", "keep one"},
        {BOTH(HEAD KEY "\nservice a\n"), "line 3", "before the first"},
        {BOTH(HEAD "service a b\n" KEY "\n"), "line 2", "more words"},
        /* the key's id */
        {BOTH(HEAD "key\n"), "line 2", "0 to 255"},
        {BOTH(HEAD "key 256 1 - hex:" HEX64 "\n"), "line 2", "0 to 255"},
        {BOTH(HEAD "key -1 1 - hex:" HEX64 "\n"), "line 2", "0 to 255"},
        {BOTH(HEAD "key +1 1 - hex:" HEX64 "\n"), "line 2", "0 to 255"},
        {BOTH(HEAD "key 0x7 1 - hex:" HEX64 "\n"), "line 2", "0 to 255"},
        {BOTH(HEAD "key 7. 1 - hex:" HEX64 "\n"), "line 2", "0 to 255"},
        {BOTH(HEAD "key 18446744073709551623 1 - hex:" HEX64 "\n"), "line 2",
         "0 to 255"},
        {BOTH(HEAD KEY "\n\n" KEY "\n"), "line 4", "on line 2"},
        {BOTH(HEAD KEY "\nkey 07 1 - hex:" HEX64 "\n"), "line 3", "on line 2"},
        /* its times */
        {BOTH(HEAD "key 7\n"), "line 2", "third word"},
        {BOTH(HEAD "key 7 - - hex:" HEX64 "\n"), "line 2", "third word"},
        {BOTH(HEAD "key 7 1e9 - hex:" HEX64 "\n"), "line 2", "since 1970"},
        {BOTH(HEAD "key 7 1099511627777 - hex:" HEX64 "\n"), "line 2",
         "third word"},
        {BOTH(HEAD "key 7 1\n"), "line 2", "fourth word"},
        {BOTH(HEAD "key 7 1 hex:" HEX64 "\n"), "line 2", "fourth word"},
        {BOTH(HEAD "key 7 1 -- hex:" HEX64 "\n"), "line 2", "or - for none"},
        {BOTH(HEAD "key 7 1 never hex:" HEX64 "\n"), "line 2", "fourth word"},
        {BOTH(HEAD "key 7 1 1099511627777 hex:" HEX64 "\n"), "line 2",
         "fourth word"},
        {BOTH(HEAD "key 7 5 5 hex:" HEX64 "\n"), "line 2", "above the third"},
        {BOTH(HEAD "key 7 5 4 hex:" HEX64 "\n"), "line 2", "above the third"},
        /* its secret */
        {BOTH(HEAD "key 7 1 -\n"), "line 2", "fifth word"},
        {BOTH(HEAD "key 7 1 - " HEX64 "\n"), "line 2", "write hex:"},
        {BOTH(HEAD "key 7 1 - HEX:" HEX64 "\n"), "line 2", "write hex:"},
        {BOTH(HEAD "key 7 1 - hex: " HEX64 "\n"), "line 2", "64 to 512"},
        {BOTH(HEAD "key 7 1 - hex:" HEX32 "\n"), "line 2", "64 to 512"},
        {BOTH(HEAD "key 7 1 - hex:" HEX64 "0\n"), "line 2", "even number"},
        {BOTH(HEAD "key 7 1 - hex:" HEX512 "00\n"), "line 2", "64 to 512"},
        {BOTH(HEAD "key 7 1 - hex:" HEX64 "0g\n"), "line 2", "use 0-9"},
        {BOTH(HEAD "key 7 1 - hex:" HEX64 "g0\n"), "line 2", "use 0-9"},
        {BOTH(HEAD "key 7 1 - hex:" HEX64 " 00\n"), "line 2", "more words"},
        /* one bad line behind good ones */
        {BOTH(HEAD "service a\n" KEY "\nkey 8 1 - hex:00\n"), "line 4",
         "64 to 512"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_refused(rows[i].text, rows[i].len);
        ck_assert_msg(strstr(err, rows[i].where) != NULL &&
                          strstr(err, rows[i].remedy) != NULL,
                      "row %zu: '%s' without '%s' or '%s'", i, err,
                      rows[i].where, rows[i].remedy);
    }
}
END_TEST

START_TEST(sixteen_keys_are_taken_and_not_seventeen)
{
    char text[4096] = HEAD;
    dtlsl__keyfile file;

    for (int i = 0; i < 16; i++)
        snprintf(text + strlen(text), 200, "key %d 1 - hex:" HEX64 "\n", i);
    ck_assert_int_eq(parse(&file, text, strlen(text)), DTLSL_OK);
    ck_assert_uint_eq(file.n_keys, 16);
    strcat(text, "key 16 1 - hex:" HEX64 "\n");
    check_refused(text, strlen(text));
    ck_assert_ptr_nonnull(strstr(err, "line 18"));
    ck_assert_ptr_nonnull(strstr(err, "remove those"));
}
END_TEST

START_TEST(a_file_of_more_than_64_kib_is_none)
{
    char *text = malloc(DTLSL__KEYFILE_MAX + 1);
    dtlsl__keyfile file;

    memset(text, '\n', DTLSL__KEYFILE_MAX + 1);
    memcpy(text, HEAD KEY "\n", strlen(HEAD KEY "\n"));
    ck_assert_int_eq(parse(&file, text, DTLSL__KEYFILE_MAX), DTLSL_OK);
    check_refused(text, DTLSL__KEYFILE_MAX + 1);
    ck_assert_ptr_nonnull(strstr(err, "65536 bytes"));
    free(text);
}
END_TEST

/* A writer that does not rename: what is read may end anywhere. */
START_TEST(a_torn_file_never_gives_another_key)
{
    static const char text[] =
        HEAD "service coap\n# two\r\n" KEY "\r\nkey 8 5 - hex:" HEX64 "aa\n";
    dtlsl__keyfile file;
    size_t n_taken = 0;

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        if (parse(&file, text, len) != DTLSL_OK) {
            check_refused(text, len);
            continue;
        }
        n_taken++;
        ck_assert_int_eq(text[len - 1], '\n');
        ck_assert_uint_eq(file.n_keys, 1);
        ck_assert_uint_eq(file.key[0].secret_len, 32);
        ck_assert_uint_eq(file.key[0].retire_s, 2000);
    }
    ck_assert_uint_eq(n_taken, 1);
}
END_TEST

START_TEST(a_byte_of_zero_anywhere_refuses_the_file)
{
    static const char good[] = HEAD "service coap\n# two\n" KEY "\n";
    char text[sizeof(good)];

    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        memcpy(text, good, sizeof(good));
        text[i] = '\0';
        check_refused(text, sizeof(good) - 1);
    }
}
END_TEST

START_TEST(what_the_grammar_leaves_free_is_taken)
{
    static const char text[] =
        HEAD "\n \t# \xc3\xa4\n\r\nservice\t#\xc3\xa4\n"
             "\tkey 0 0 1099511627776 hex:00112233445566778899AABBCCDDEEFF"
             "00112233445566778899aAbBcCdDeEfF\r\n"
             "key 255 1099511627776 -  hex:" HEX512 " \n";
    dtlsl__keyfile file;

    ck_assert_int_eq(parse(&file, text, sizeof(text) - 1), DTLSL_OK);
    ck_assert_uint_eq(file.service_len, 3);
    ck_assert_mem_eq(file.service, "#\xc3\xa4", 3);
    ck_assert_uint_eq(file.n_keys, 2);
    ck_assert_uint_eq(file.key[0].line, 6);
    ck_assert_uint_eq(file.key[0].secret_len, 32);
    ck_assert_uint_eq(file.key[0].secret[31], 0xff);
    ck_assert_uint_eq(file.key[1].kid, 255);
    ck_assert_uint_eq(file.key[1].secret_len, 256);
    ck_assert(file.key[1].retire_s == DTLSL__KEYFILE_NEVER);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        each_wrong_line_is_named_with_a_remedy,
        sixteen_keys_are_taken_and_not_seventeen,
        a_file_of_more_than_64_kib_is_none,
        a_torn_file_never_gives_another_key,
        a_byte_of_zero_anywhere_refuses_the_file,
        what_the_grammar_leaves_free_is_taken,
    };

    return test_main(
        test_suite("keyfile", tests, sizeof(tests) / sizeof(tests[0])));
}
