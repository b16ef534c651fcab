/* SPDX-License-Identifier: MIT
 * Headers of records and messages: fields, lengths, truncation. */
#include "record.h"
#include "test.h"

static const uint8_t record_bytes[] = {22, 0xfe, 0xfd, 0x01, 0x02, 3,
                                       4,  5,    6,    7,    8,    0,
                                       3,  0xaa, 0xbb, 0xcc, 0xdd};
static const uint8_t message_bytes[] = {11, 1, 2, 3, 4,    5,    6,   7,
                                        8,  0, 0, 2, 0xaa, 0xbb, 0xcc};

/* A copy of exactly 'len' bytes, so that a sanitizer sees reads behind it. */
static uint8_t *
copy(const uint8_t *data, size_t len)
{
    uint8_t *p = malloc(len > 0 ? len : 1);

    ck_assert_ptr_nonnull(p);
    memcpy(p, data, len);
    return p;
}

START_TEST(a_record_has_its_fields)
{
    dtlsl__record record;

    ck_assert_int_eq(
        dtlsl__record_read(&record, record_bytes, sizeof(record_bytes)), 16);
    ck_assert_uint_eq(record.type, 22);
    ck_assert_uint_eq(record.version, 0xfefd);
    ck_assert_uint_eq(record.epoch, 0x0102);
    ck_assert_uint_eq(record.seq, 0x030405060708);
    ck_assert_uint_eq(record.len, 3);
    ck_assert_ptr_eq(record.body, record_bytes + 13);
}
END_TEST

START_TEST(a_record_cut_at_each_byte)
{
    for (size_t len = 0; len < sizeof(record_bytes); len++) {
        uint8_t *p = copy(record_bytes, len);
        dtlsl__record record = {0};
        int32_t n = dtlsl__record_read(&record, p, len);

        ck_assert_int_eq(n, len < 13 ? 0 : len < 16 ? -1 : 16);
        if (n != 0) {
            ck_assert_uint_eq(record.seq, 0x030405060708);
            ck_assert_uint_eq(record.len, 3);
            ck_assert_ptr_eq(record.body, p + 13);
        }
        free(p);
    }
}
END_TEST

START_TEST(the_longest_and_the_emptiest_record)
{
    static uint8_t data[13 + 65535];
    dtlsl__record record;

    ck_assert_int_eq(dtlsl__record_read(&record, data, 13), 13);
    ck_assert_uint_eq(record.len, 0);
    data[11] = data[12] = 0xff;
    ck_assert_int_eq(dtlsl__record_read(&record, data, sizeof(data)),
                     sizeof(data));
    ck_assert_int_eq(dtlsl__record_read(&record, data, sizeof(data) - 1), -1);
}
END_TEST

START_TEST(a_message_has_its_fields)
{
    dtlsl__message message;

    ck_assert_int_eq(
        dtlsl__message_read(&message, message_bytes, sizeof(message_bytes)),
        14);
    ck_assert_uint_eq(message.type, 11);
    ck_assert_uint_eq(message.length, 0x010203);
    ck_assert_uint_eq(message.seq, 0x0405);
    ck_assert_uint_eq(message.offset, 0x060708);
    ck_assert_uint_eq(message.fragment_len, 2);
    ck_assert_ptr_eq(message.body, message_bytes + 12);
}
END_TEST

START_TEST(a_message_cut_at_each_byte)
{
    for (size_t len = 0; len < sizeof(message_bytes); len++) {
        uint8_t *p = copy(message_bytes, len);
        dtlsl__message message = {0};
        int32_t n = dtlsl__message_read(&message, p, len);

        ck_assert_int_eq(n, len < 12 ? 0 : len < 14 ? -1 : 14);
        if (n != 0) {
            ck_assert_uint_eq(message.length, 0x010203);
            ck_assert_uint_eq(message.fragment_len, 2);
            ck_assert_ptr_eq(message.body, p + 12);
        }
        free(p);
    }
}
END_TEST

START_TEST(numbers_are_big_endian)
{
    static const uint8_t in[] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 8};
    uint8_t out[9];

    memset(out, 0x55, sizeof(out));
    ck_assert_uint_eq(dtlsl__get16(in), 0x8192);
    ck_assert_uint_eq(dtlsl__get24(in), 0x8192a3);
    ck_assert_uint_eq(dtlsl__get32(in), 0x8192a3b4);
    ck_assert_uint_eq(dtlsl__get48(in), 0x8192a3b4c5d6);
    dtlsl__put64(out, 0x8192a3b4c5d6e708);
    ck_assert_mem_eq(out, in, 8);
    ck_assert_uint_eq(out[8], 0x55);
}
END_TEST

START_TEST(writers_write_only_their_bytes)
{
    static const uint64_t value = 0xf1e2d3c4b5a6;
    uint8_t out[8];

    memset(out, 0x55, sizeof(out));
    dtlsl__put16(out, 0xff8192);
    ck_assert_uint_eq(dtlsl__get16(out), 0x8192);
    ck_assert_uint_eq(out[2], 0x55);
    dtlsl__put24(out, 0xff8192a3);
    ck_assert_uint_eq(dtlsl__get24(out), 0x8192a3);
    ck_assert_uint_eq(out[3], 0x55);
    dtlsl__put32(out, 0x8192a3b4);
    ck_assert_uint_eq(dtlsl__get32(out), 0x8192a3b4);
    ck_assert_uint_eq(out[4], 0x55);
    dtlsl__put48(out, value | UINT64_C(0xff) << 48);
    ck_assert_uint_eq(dtlsl__get48(out), value);
    ck_assert_uint_eq(out[6], 0x55);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_record_has_its_fields,
        a_record_cut_at_each_byte,
        the_longest_and_the_emptiest_record,
        a_message_has_its_fields,
        a_message_cut_at_each_byte,
        numbers_are_big_endian,
        writers_write_only_their_bytes,
    };

    return test_main(
        test_suite("record", tests, sizeof(tests) / sizeof(tests[0])));
}
