/* SPDX-License-Identifier: MIT
 * A server's certificate and its key as PEM text, which every TLS library
 * reads: from files, or made at the start. */
#ifndef DTLSL_BENCH_IDENTITY_H
#define DTLSL_BENCH_IDENTITY_H

typedef struct identity {
    char *certificate, *key;
} identity;

/* NULL for both: a self-signed certificate with an ECDSA key on P-256. Ends
 * the program with a text if that cannot be. */
void identity_get(identity *id, const char *certificate_file,
                  const char *key_file);
void identity_free(identity *id);

#endif
