/* SPDX-License-Identifier: MIT
 * The protocol of coap.c: bytes in, bytes out. */
#ifndef COAP_MESSAGE_H
#define COAP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    COAP_ANSWER_MAX = 256
};

/* Writes what goes back to 'peer' for its message and returns the length, 0
 * for nothing. */
size_t coap_answer(const uint8_t *message, size_t len, const char *peer,
                   time_t now, uint8_t answer[COAP_ANSWER_MAX]);

#endif
