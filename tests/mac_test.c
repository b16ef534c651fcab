/* SPDX-License-Identifier: MIT
 * HMAC-SHA-256 by both ways against RFC 4231, and against each other for keys
 * and messages of many lengths; and that the first way allocates nothing. */
#include "heap.h"
#include "mac.h"
#include "test.h"

enum {
    KEY_MAX = 140,
    DATA_MAX = 300,
    CALLS = 1000
};

/* By SHA256_CTX, by EVP_MAC, and by EVP_MAC of an OpenSSL that forgets keys. */
enum {
    BY_SHA256,
    BY_EVP,
    BY_EVP_REKEYED,
    WAYS
};

static void
open_way(dtlsl__macs *macs, int way)
{
    char err[256] = "";

    memset(macs, 0, sizeof(*macs));
    ck_assert_msg(dtlsl__macs_init(macs, err, sizeof(err)) == DTLSL_OK, "%s",
                  err);
    ck_assert(macs->by_sha256); /* these tests have the default provider */
    macs->by_sha256 = way == BY_SHA256;
    macs->rekey = way == BY_EVP_REKEYED;
}

static void
compute(int way, const uint8_t *key, size_t key_len, const uint8_t *data,
        size_t len, uint8_t tag[32])
{
    dtlsl__macs macs;
    void *mac;

    open_way(&macs, way);
    mac = dtlsl__mac_new(&macs, key, key_len);
    ck_assert_ptr_nonnull(mac);
    for (int i = 0; i < 3; i++) { /* a context is used again and again */
        memset(tag, 0, 32);
        ck_assert_int_eq(dtlsl__mac_sha256(mac, data, len, tag), DTLSL_OK);
    }
    dtlsl__mac_free(mac);
    dtlsl__macs_clear(&macs);
}

/* RFC 4231, test cases 1, 2, 3, 6. */
static const struct {
    uint8_t key_byte, key_len;
    const char *key; /* or that byte, so often */
    uint8_t data_byte, data_len;
    const char *data;
    const char *tag;
} vectors[] = {
    {0x0b, 20, NULL, 0, 8, "Hi There",
     "\xb0\x34\x4c\x61\xd8\xdb\x38\x53\x5c\xa8\xaf\xce\xaf\x0b\xf1\x2b"
     "\x88\x1d\xc2\x00\xc9\x83\x3d\xa7\x26\xe9\x37\x6c\x2e\x32\xcf\xf7"},
    {0, 4, "Jefe", 0, 28, "what do ya want for nothing?",
     "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7"
     "\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43"},
    {0xaa, 20, NULL, 0xdd, 50, NULL,
     "\x77\x3e\xa9\x1e\x36\x80\x0e\x46\x85\x4d\xb8\xeb\xd0\x91\x81\xa7"
     "\x29\x59\x09\x8b\x3e\xf8\xc1\x22\xd9\x63\x55\x14\xce\xd5\x65\xfe"},
    {0xaa, 131, NULL, 0, 54,
     "Test Using Larger Than Block-Size Key - Hash Key First",
     "\x60\xe4\x31\x59\x1e\xe0\xb6\x7f\x0d\x8a\x26\xaa\xcb\xf5\xb7\x7f"
     "\x8e\x0b\xc6\x21\x37\x28\xc5\x14\x05\x46\x04\x0f\x0e\xe3\x7f\x54"},
};

START_TEST(each_way_gives_the_published_tags)
{
    uint8_t key[KEY_MAX], data[DATA_MAX], tag[32];

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        memset(key, vectors[i].key_byte, sizeof(key));
        memset(data, vectors[i].data_byte, sizeof(data));
        if (vectors[i].key != NULL)
            memcpy(key, vectors[i].key, vectors[i].key_len);
        if (vectors[i].data != NULL)
            memcpy(data, vectors[i].data, vectors[i].data_len);
        for (int way = 0; way < WAYS; way++) {
            compute(way, key, vectors[i].key_len, data, vectors[i].data_len,
                    tag);
            ck_assert_mem_eq(tag, vectors[i].tag, 32);
        }
    }
}
END_TEST

START_TEST(the_ways_agree_for_all_lengths)
{
    uint8_t key[KEY_MAX], data[DATA_MAX], tag[WAYS][32];

    for (size_t i = 0; i < KEY_MAX; i++)
        key[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < DATA_MAX; i++)
        data[i] = (uint8_t)(i * 13 + 5);
    for (size_t len = 0; len < DATA_MAX; len += 7) {
        size_t key_len = 1 + len % (KEY_MAX - 1);
        for (int way = 0; way < WAYS; way++)
            compute(way, key, key_len, data, len, tag[way]);
        ck_assert_mem_eq(tag[BY_SHA256], tag[BY_EVP], 32);
        ck_assert_mem_eq(tag[BY_SHA256], tag[BY_EVP_REKEYED], 32);
    }
}
END_TEST

/* All zero under a sanitizer. */
START_TEST(a_tag_by_sha256_allocates_nothing)
{
    uint8_t key[32] = {1}, data[100] = {2}, tag[32];
    uint64_t ours, theirs;
    dtlsl__macs macs;
    int failed = 0;
    void *mac;

    open_way(&macs, BY_SHA256);
    mac = dtlsl__mac_new(&macs, key, sizeof(key));
    ours = heap_ours.allocations;
    theirs = heap_libcrypto.allocations;
    for (int i = 0; i < CALLS; i++) /* Check allocates when it asserts */
        failed |= dtlsl__mac_sha256(mac, data, sizeof(data), tag) != DTLSL_OK;
    ours = heap_ours.allocations - ours;
    theirs = heap_libcrypto.allocations - theirs;
    ck_assert(!failed);
    ck_assert_uint_eq(ours, 0);
    ck_assert_uint_eq(theirs, 0);
    dtlsl__mac_free(mac);
    dtlsl__macs_clear(&macs);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        each_way_gives_the_published_tags,
        the_ways_agree_for_all_lengths,
        a_tag_by_sha256_allocates_nothing,
    };

    if (!heap_count())
        return EXIT_FAILURE;
    return test_main(test_suite("mac", tests, 3));
}
