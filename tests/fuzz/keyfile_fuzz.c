/* SPDX-License-Identifier: MIT
 * Fuzzes the key file's reader against the writer of dtlslisten-keys: the
 * input is a whole file. */
#include "fuzz.h"
#include "keys.h"
#include <stdlib.h>
#include <string.h>

const char fuzz_name[] = "keyfile";

/* The writer's object also has parts that complain. */
void
keys_complain(const char *format, ...)
{
    (void)format;
}

static int32_t
parse_copy(dtlsl__keyfile *file, const void *data, size_t len, char err[256])
{
    uint8_t *copy = fuzz_copy(data, len);
    int32_t status;

    memset(file, 0xa5, sizeof(*file));
    memset(err, 0, 256);
    status = dtlsl__keyfile_parse(file, copy, len, err, 256);
    free(copy);
    return status;
}

static void
check_key(const dtlsl__keyfile *file, uint32_t i)
{
    const dtlsl__keyfile_key *key = &file->key[i];

    fuzz_check(key->secret_len >= DTLSL__SECRET_MIN &&
               key->secret_len <= DTLSL__SECRET_MAX);
    fuzz_check(key->retire_s > key->activate_s);
    fuzz_check(key->retire_s == DTLSL__KEYFILE_NEVER ||
               key->retire_s <= UINT64_C(1) << 40);
    for (uint32_t j = 0; j < i; j++) {
        fuzz_check(file->key[j].kid != key->kid);
        fuzz_check(file->key[j].line < key->line);
    }
}

/* One key mints at each time from the first activation on. */
static void
check_minting(const dtlsl__keyfile *file)
{
    int overdue;

    for (uint32_t i = 0; i < file->n_keys; i++) {
        uint64_t at = file->key[i].activate_s;
        const dtlsl__keyfile_key *key =
            dtlsl__keyfile_mints(file, at, &overdue);

        fuzz_check(key != NULL && !overdue);
        fuzz_check(key->activate_s <= at && key->retire_s > at);
    }
}

static void
check_printed(dtlsl__keyfile *file)
{
    char *text = keys_print(file);
    dtlsl__keyfile again;
    char err[256];

    fuzz_check(text != NULL);
    fuzz_check(parse_copy(&again, text, strlen(text), err) == DTLSL_OK);
    for (uint32_t i = 0; i < file->n_keys; i++)
        again.key[i].line = file->key[i].line; /* comments are not printed */
    fuzz_check(memcmp(&again, file, sizeof(again)) == 0);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const dtlsl__keyfile nothing;
    dtlsl__keyfile file;
    char err[256];
    int32_t status = parse_copy(&file, data, len, err);

    if (status != DTLSL_OK) {
        fuzz_check(status == DTLSL_ERR_FILE);
        fuzz_check(strlen(err) > 10 && strlen(err) < sizeof(err) - 1);
        fuzz_check(memcmp(&file, &nothing, sizeof(file)) == 0);
        return 0;
    }
    fuzz_check(err[0] == '\0');
    fuzz_check(len <= DTLSL__KEYFILE_MAX && data[len - 1] == '\n');
    fuzz_check(file.n_keys >= 1 && file.n_keys <= DTLSL__KEYFILE_KEYS);
    for (uint32_t i = 0; i < file.n_keys; i++)
        check_key(&file, i);
    check_minting(&file);
    check_printed(&file);
    return 0;
}
