/* SPDX-License-Identifier: MIT
 * Session ticket keys that are random, rotate, and are shared by the SSL_CTXs
 * of a config, also across reloads (RFC 5077 section 5.5). Part of tls. */
#ifndef DTLSL_TICKETS_H
#define DTLSL_TICKETS_H

struct ssl_ctx_st;

/* Gives 'ctx' the keys of 'old', or new ones where old is NULL or has none. A
 * key makes tickets for as long as one is valid (SSL_CTX_get_timeout), then it
 * is accepted for as long again and is cleansed. 1, or 0 on failure. */
int dtlsl__tickets_use(struct ssl_ctx_st *ctx, struct ssl_ctx_st *old);

#endif
