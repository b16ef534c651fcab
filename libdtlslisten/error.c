/* SPDX-License-Identifier: MIT
 * The version, and the names and texts of results. */
#include <dtlslisten/base.h>
#include <dtlslisten/cookie.h>
#include <uv.h>

/* X(code, text); libuv's own codes come from UV_ERRNO_MAP. */
#define ERRORS(X)                                                  \
    X(DTLSL_ERR_ARGUMENT, "a parameter or value breaks its rule")  \
    X(DTLSL_ERR_NOMEM, "an allocation failed")                     \
    X(DTLSL_ERR_STATE, "not allowed in this state")                \
    X(DTLSL_ERR_OPTION, "this build has no such option")           \
    X(DTLSL_ERR_NOCONN, "the connection is gone")                  \
    X(DTLSL_ERR_LIMIT, "a configured limit is reached")            \
    X(DTLSL_ERR_SPACE, "the buffer given is too small")            \
    X(DTLSL_ERR_TLS, "OpenSSL refused")                            \
    X(DTLSL_ERR_PLUGIN, "a cookie strategy cannot be used")        \
    X(DTLSL_ERR_TOOBIG, "the datagram would exceed the MTU")       \
    X(DTLSL_ERR_BUSY, "the socket is full; WRITABLE follows")      \
    X(DTLSL_ERR_CREDENTIALS, "certificate, key or PSK unusable")   \
    X(DTLSL_ERR_FILE, "a file cannot be read")                     \
    X(DTLSL_ERR_RANDOM, "the system gave no randomness")           \
    X(DTLSL_COOKIE_NOTREADY, "the cookie strategy has no key yet") \
    X(DTLSL_COOKIE_REFUSED, "the cookie strategy refused the peer")

uint32_t
dtlsl_version(void)
{
    return DTLSL_VERSION;
}

const char *
dtlsl_version_string(void)
{
    return "0.1.0";
}

const char *
dtlsl_err_name(int32_t err)
{
    switch (err) {
    case DTLSL_OK:
        return "OK";
#define X(code, text) \
    case code:        \
        return #code;
        ERRORS(X)
#undef X
#define X(code, text) \
    case UV_##code:   \
        return #code;
        UV_ERRNO_MAP(X)
#undef X
    default:
        return "UNKNOWN";
    }
}

const char *
dtlsl_strerror(int32_t err)
{
    switch (err) {
    case DTLSL_OK:
        return "OK";
#define X(code, text) \
    case code:        \
        return text;
        ERRORS(X)
#undef X
#define X(code, text) \
    case UV_##code:   \
        return text;
        UV_ERRNO_MAP(X)
#undef X
    default:
        return "UNKNOWN";
    }
}
