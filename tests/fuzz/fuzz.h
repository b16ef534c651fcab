/* SPDX-License-Identifier: MIT
 * What the fuzzers share. Each has a C file with fuzz_name and
 * LLVMFuzzerTestOneInput; main() is libFuzzer's, or replay.c's. */
#ifndef DTLSL_FUZZ_H
#define DTLSL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

extern const char fuzz_name[]; /* of its folder in corpus/ */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* An input as a list of orders: what is missing at its end is zero. */
typedef struct fuzz_input {
    const uint8_t *data;
    size_t len;
} fuzz_input;
uint8_t fuzz_byte(fuzz_input *in);
uint16_t fuzz_short(fuzz_input *in);
/* At most len bytes; how many is left in *len. */
const uint8_t *fuzz_bytes(fuzz_input *in, size_t *len);

/* From here on OpenSSL's randomness repeats. */
void fuzz_seed(uint64_t seed);

/* An exact copy on the heap, so that the sanitizer sees its ends. */
uint8_t *fuzz_copy(const uint8_t *data, size_t len);

void fuzz_fail(const char *file, int line, const char *what)
    __attribute__((noreturn));
#define fuzz_check(condition) \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

#endif
