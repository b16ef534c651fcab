/* SPDX-License-Identifier: MIT
 * OpenSSL as all measured programs on it set it up: DTLS 1.2, AES128-GCM, no
 * tickets and no cache of sessions. */
#ifndef DTLSL_BENCH_OPENSSL_SIDE_H
#define DTLSL_BENCH_OPENSSL_SIDE_H

#include "identity.h"
#include <openssl/ssl.h>

/* With those groups, or with NULL OpenSSL's own. Ends the program with a text
 * if that cannot be, as does the other. */
SSL_CTX *openssl_context(const SSL_METHOD *method, const char *groups);
void openssl_use_identity(SSL_CTX *ctx, const identity *id);

#endif
