/* SPDX-License-Identifier: MIT
 * SipHash-2-4 (Aumasson and Bernstein): a keyed hash, so that nobody who does
 * not know the key can choose addresses that collide. */
#ifndef DTLSL_SIPHASH_H
#define DTLSL_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t dtlsl__siphash(const uint8_t key[16], const void *data, size_t len);

#endif
