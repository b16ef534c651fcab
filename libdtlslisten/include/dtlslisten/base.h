/* SPDX-License-Identifier: MIT
 *
 * What every part of libdtlslisten shares: results, their names, the version.
 *
 * Results are int32_t: zero or positive is success, negative is failure.
 * Codes above -10000 are libuv's own (negated errno values on Unix) and pass
 * through unchanged; the ones below are this library's and have the same value
 * on every platform. There is no errno and no "last error" of a thread.
 *
 * All functions of this header may be called from any thread at any time.
 */
#ifndef DTLSLISTEN_BASE_H
#define DTLSLISTEN_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define DTLSL_BEGIN_DECLS extern "C" {
#define DTLSL_END_DECLS }
#else
#define DTLSL_BEGIN_DECLS
#define DTLSL_END_DECLS
#endif

#ifdef __GNUC__
#define DTLSL_API __attribute__((visibility("default")))
#else
#define DTLSL_API
#endif

DTLSL_BEGIN_DECLS

enum {
    DTLSL_VERSION = 0x000100 /* 0x00MMmmpp: 0.1.0 */
};

enum {
    DTLSL_OK = 0,
    DTLSL_ERR_ARGUMENT = -10001,    /* a parameter or value breaks its rule */
    DTLSL_ERR_NOMEM = -10002,       /* an allocation failed */
    DTLSL_ERR_STATE = -10003,       /* not allowed in this state */
    DTLSL_ERR_OPTION = -10004,      /* this build has no such option */
    DTLSL_ERR_NOCONN = -10005,      /* the connection is gone */
    DTLSL_ERR_LIMIT = -10006,       /* a configured limit is reached */
    DTLSL_ERR_SPACE = -10007,       /* the buffer given is too small */
    DTLSL_ERR_TLS = -10008,         /* OpenSSL refused */
    DTLSL_ERR_PLUGIN = -10009,      /* a cookie strategy cannot be used */
    DTLSL_ERR_TOOBIG = -10010,      /* the datagram would exceed the MTU */
    DTLSL_ERR_BUSY = -10011,        /* the socket is full; WRITABLE follows */
    DTLSL_ERR_CREDENTIALS = -10012, /* certificate, key or PSK unusable */
    DTLSL_ERR_FILE = -10013,        /* a file cannot be read */
    DTLSL_ERR_RANDOM = -10014       /* the system gave no randomness */
};

/* The version of the library that runs, as 0x00MMmmpp, and as text. Compare
 * with DTLSL_VERSION, the version that the caller was compiled against. */
DTLSL_API uint32_t dtlsl_version(void);
DTLSL_API const char *dtlsl_version_string(void);

/* 1 if the libssl that runs is older than the first release of its series with
 * all the fixes of DTLS that were known when this library was made, else 0.
 * *text (NULL is allowed) then says what it lacks; it is static, "" for 0.
 * Only version numbers are compared, and distributions add fixes without
 * changing them: what says 1 may have the fixes all the same. */
DTLSL_API int32_t dtlsl_libssl_outdated(const char **text);

/* The code's name ("DTLSL_ERR_STATE", "EADDRINUSE") and a sentence on it, for
 * this library's codes and for libuv's. Both are static strings and never
 * NULL; an unknown code gives "UNKNOWN". The name is what to compare: the
 * numbers of system errors differ between platforms. */
DTLSL_API const char *dtlsl_err_name(int32_t err);
DTLSL_API const char *dtlsl_strerror(int32_t err);

DTLSL_END_DECLS

#endif
