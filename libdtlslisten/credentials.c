/* SPDX-License-Identifier: MIT
 * An SSL_CTX from options: certificates, pre-shared keys, ALPN, tickets. Each
 * refusal says what, where, and the remedy. */
#include "tickets.h"
#include "tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 16 << 20,
    IDENTITY_MAX = 128, /* what every OpenSSL 3 hands to the callback */
    KEY_MAX = 256,
    /* OpenSSL keeps what comes, about ten times its length as objects: its
     * own limit, 102400, is 1 MB for each half-open connection. */
    MAX_CERT_LIST = 16384,
    SECRET_LEN = 32,
    TICKET_KEY_LEN = 80
};

/* AEAD only, forward secrecy first. */
#define CERT_CIPHERS                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-AES128-CCM"
#define PSK_CIPHERS                                      \
    "ECDHE-PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256:" \
    "PSK-CHACHA20-POLY1305:PSK-AES256-GCM-SHA384:PSK-AES128-CCM"

typedef struct psk {
    char identity[IDENTITY_MAX + 1];
    uint32_t line;
    uint32_t key_len;
    uint8_t key[KEY_MAX];
} psk;

/* What the callbacks of an SSL_CTX need; freed with it. */
typedef struct credentials {
    psk *psks; /* sorted by identity */
    size_t n_psks;
    size_t psks_cap;
    uint8_t secret[SECRET_LEN]; /* makes keys for unknown identities */
    uint8_t *alpn;              /* in wire format */
    size_t alpn_len;
} credentials;

typedef struct err_sink {
    char *text;
    size_t len;
} err_sink;

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int credentials_index = -1;

static void
credentials_free(credentials *own)
{
    if (own == NULL)
        return;
    OPENSSL_clear_free(own->psks, own->psks_cap * sizeof(*own->psks));
    OPENSSL_free(own->alpn);
    OPENSSL_clear_free(own, sizeof(*own));
}

static void
free_ex_data(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
             void *argp)
{
    (void)parent;
    (void)ad;
    (void)index;
    (void)argl;
    (void)argp;
    credentials_free(ptr);
}

static void
make_index(void)
{
    credentials_index =
        SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_ex_data);
}

static int
index_ready(void)
{
    return CRYPTO_THREAD_run_once(&once, make_index) && credentials_index >= 0;
}

int
dtlsl__tls_ctx_is_ours(const struct ssl_ctx_st *ctx)
{
    return index_ready() &&
           SSL_CTX_get_ex_data(ctx, credentials_index) != NULL;
}

static int32_t __attribute__((format(printf, 3, 4)))
fail(const err_sink *sink, int32_t code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (sink->len > 0)
        vsnprintf(sink->text, sink->len, format, args);
    va_end(args);
    return code;
}

/* As fail, with OpenSSL's own reason between what and remedy. */
static int32_t
fail_tls(const err_sink *sink, int32_t code, const char *option,
         const char *path, const char *remedy)
{
    char reason[160];

    dtlsl__tls_error_text(reason, sizeof(reason), "not usable");
    return fail(sink, code, "%s %s: %s; %s", option, path, reason, remedy);
}

/* ---- files ---- */

static int32_t
read_stream(FILE *file, uint8_t **out, size_t *out_len)
{
    size_t cap = 4096, len = 0;
    uint8_t *buf = OPENSSL_malloc(cap), *grown;

    while (buf != NULL) {
        len += fread(buf + len, 1, cap - len, file);
        if (len < cap)
            break;
        grown =
            cap > FILE_MAX ? NULL : OPENSSL_clear_realloc(buf, cap, cap * 2);
        if (grown == NULL) {
            OPENSSL_clear_free(buf, cap);
            errno = cap > FILE_MAX ? EFBIG : ENOMEM;
            return DTLSL_ERR_FILE;
        }
        buf = grown;
        cap *= 2;
    }
    if (buf == NULL || ferror(file)) {
        OPENSSL_clear_free(buf, cap);
        return DTLSL_ERR_FILE;
    }
    /* A terminator for those who parse text: there is room, len < cap. */
    buf[len] = '\0';
    *out = buf;
    *out_len = len;
    return DTLSL_OK;
}

/* Yours, with OPENSSL_clear_free(out, out_len). */
static int32_t
read_file(const err_sink *sink, const char *option, const char *path,
          uint8_t **out, size_t *out_len)
{
    FILE *file = fopen(path, "rbe");
    int32_t err = DTLSL_ERR_FILE;

    if (file != NULL) {
        /* Else a private key stays behind in the stream's buffer. */
        setvbuf(file, NULL, _IONBF, 0);
        err = read_stream(file, out, out_len);
    }
    if (err < 0)
        fail(sink, err, "%s %s: %s; name a file that this process may read",
             option, path, strerror(errno));
    if (file != NULL)
        fclose(file);
    return err;
}

/* ---- pre-shared keys ---- */

static int
compare_psk(const void *a, const void *b)
{
    return strcmp(((const psk *)a)->identity, ((const psk *)b)->identity);
}

static psk *
add_psk(credentials *own)
{
    if (own->n_psks == own->psks_cap) {
        size_t cap = own->psks_cap == 0 ? 16 : own->psks_cap * 2;
        psk *grown = OPENSSL_clear_realloc(
            own->psks, own->psks_cap * sizeof(psk), cap * sizeof(psk));

        if (grown == NULL)
            return NULL;
        own->psks = grown;
        own->psks_cap = cap;
    }
    return &own->psks[own->n_psks++];
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What is wrong with the key and the remedy, or NULL. */
static const char *
read_hex(psk *entry, const char *hex)
{
    size_t len = strlen(hex);

    for (size_t i = 0; i < len; i++)
        if (hex_digit(hex[i]) < 0)
            return "the key is not hexadecimal; write it in the digits 0 to 9 "
                   "and a to f";
    if (len == 0)
        return "no key behind the colon; write it in hexadecimal";
    if (len > 2 * KEY_MAX)
        return "the key is longer than 256 bytes; write at most 512 hex "
               "digits";
    if (len % 2 != 0)
        return "the key has an odd number of hex digits; write two for each "
               "byte";
    for (size_t i = 0; i < len / 2; i++)
        entry->key[i] =
            (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    entry->key_len = (uint32_t)(len / 2);
    return NULL;
}

static int
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* 'text' is one line without its end, trimmed. The text of an error never
 * quotes the line: it may hold a key. */
static int32_t
read_psk_line(credentials *own, const char *text, const char *path,
              uint32_t line, const err_sink *sink)
{
    /* The last colon: identities such as urn:dev:1 have some, keys do not. */
    const char *colon = strrchr(text, ':'), *wrong;
    const char *end = colon == NULL ? text : colon;
    psk *entry;

    while (end > text && is_blank(end[-1]))
        end--;
    if (end == text)
        return fail(sink, DTLSL_ERR_CREDENTIALS,
                    "psk-file %s, line %u: no \"identity:hexkey\"; write an "
                    "identity, a colon and the key in hexadecimal",
                    path, line);
    if (end - text > IDENTITY_MAX)
        return fail(sink, DTLSL_ERR_CREDENTIALS,
                    "psk-file %s, line %u: identity longer than %d bytes; "
                    "shorten it",
                    path, line, IDENTITY_MAX);
    entry = add_psk(own);
    if (entry == NULL)
        return fail(sink, DTLSL_ERR_NOMEM, "psk-file %s: out of memory", path);
    memset(entry, 0, sizeof(*entry));
    memcpy(entry->identity, text, (size_t)(end - text));
    entry->line = line;
    for (colon++; is_blank(*colon); colon++)
        ;
    wrong = read_hex(entry, colon);
    return wrong == NULL ? DTLSL_OK
                         : fail(sink, DTLSL_ERR_CREDENTIALS,
                                "psk-file %s, line %u: %s", path, line, wrong);
}

static int32_t
read_psk_lines(credentials *own, char *text, const char *path,
               const err_sink *sink)
{
    /* Editors of other systems write a byte order mark in front. */
    char *next = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
    uint32_t line = 0;
    int32_t err = DTLSL_OK;

    while (next != NULL && err == DTLSL_OK) {
        char *start = next, *end = strchr(start, '\n');

        next = end == NULL ? NULL : end + 1;
        end = end == NULL ? start + strlen(start) : end;
        line++;
        while (start < end && is_blank(*start))
            start++;
        while (end > start && is_blank(end[-1]))
            end--;
        *end = '\0';
        if (*start != '\0' && *start != '#')
            err = read_psk_line(own, start, path, line, sink);
    }
    return err;
}

static int32_t
check_psks(credentials *own, const char *path, const err_sink *sink)
{
    if (own->n_psks == 0)
        return fail(sink, DTLSL_ERR_CREDENTIALS,
                    "psk-file %s: no key in it; write lines "
                    "\"identity:hexkey\"",
                    path);
    qsort(own->psks, own->n_psks, sizeof(*own->psks), compare_psk);
    for (size_t i = 1; i < own->n_psks; i++) {
        const psk *a = &own->psks[i - 1], *b = &own->psks[i];

        if (compare_psk(a, b) == 0)
            return fail(sink, DTLSL_ERR_CREDENTIALS,
                        "psk-file %s: the same identity in lines %u and %u; "
                        "remove one",
                        path, a->line < b->line ? a->line : b->line,
                        a->line < b->line ? b->line : a->line);
    }
    return DTLSL_OK;
}

/* The key of an unknown identity is as good as a wrong one, and takes as long
 * to find: the MAC is computed for known ones, too. */
static unsigned int
find_psk(SSL *ssl, const char *identity, unsigned char *key,
         unsigned int max_len)
{
    const credentials *own =
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), credentials_index);
    size_t identity_len = identity == NULL ? 0 : strlen(identity);
    uint8_t unknown[EVP_MAX_MD_SIZE];
    unsigned int unknown_len = 0, len = 0;
    const psk *found = NULL;
    psk wanted = {0};

    if (own == NULL ||
        HMAC(EVP_sha256(), own->secret, SECRET_LEN,
             (const unsigned char *)(identity == NULL ? "" : identity),
             identity_len, unknown, &unknown_len) == NULL)
        return 0;
    if (identity_len > 0 && identity_len <= IDENTITY_MAX) {
        memcpy(wanted.identity, identity, identity_len + 1);
        found = bsearch(&wanted, own->psks, own->n_psks, sizeof(*own->psks),
                        compare_psk);
    }
    len = found == NULL ? unknown_len : found->key_len;
    if (len > max_len)
        len = 0;
    memcpy(key, found == NULL ? unknown : found->key, len);
    OPENSSL_cleanse(unknown, sizeof(unknown));
    return len;
}

static int32_t
use_psk_file(SSL_CTX *ctx, credentials *own, const char *path,
             const err_sink *sink)
{
    uint8_t *text = NULL;
    size_t len = 0;
    int32_t err = read_file(sink, "psk-file", path, &text, &len);

    if (err < 0)
        return err;
    if (strlen((char *)text) != len)
        err = fail(sink, DTLSL_ERR_CREDENTIALS,
                   "psk-file %s: has a zero byte; it is to be a text file",
                   path);
    if (err == DTLSL_OK)
        err = read_psk_lines(own, (char *)text, path, sink);
    if (err == DTLSL_OK)
        err = check_psks(own, path, sink);
    if (err == DTLSL_OK && RAND_priv_bytes(own->secret, SECRET_LEN) != 1)
        err = fail(sink, DTLSL_ERR_RANDOM,
                   "psk-file %s: the system gave no random bytes", path);
    if (err == DTLSL_OK)
        SSL_CTX_set_psk_server_callback(ctx, find_psk);
    OPENSSL_clear_free(text, len);
    return err;
}

/* ---- ALPN ---- */

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
            const unsigned char *in, unsigned int in_len, void *arg)
{
    const credentials *own = arg;
    unsigned char *chosen = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_len, own->alpn,
                              (unsigned int)own->alpn_len, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 section 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int32_t
use_alpn(SSL_CTX *ctx, credentials *own, const char *list,
         const err_sink *sink)
{
    size_t len = strlen(list);

    own->alpn = OPENSSL_malloc(len + 1);
    if (own->alpn == NULL)
        return fail(sink, DTLSL_ERR_NOMEM, "alpn: out of memory");
    for (const char *name = list;; name += strcspn(name, ",") + 1) {
        size_t n = strcspn(name, ",");

        if (n == 0 || n > 255)
            return fail(sink, DTLSL_ERR_ARGUMENT,
                        "alpn \"%.64s\": a name of %zu bytes; separate names "
                        "of 1 to 255 bytes by commas, without blanks",
                        list, n);
        own->alpn[own->alpn_len++] = (uint8_t)n;
        memcpy(own->alpn + own->alpn_len, name, n);
        own->alpn_len += n;
        if (name[n] == '\0')
            break;
    }
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, own);
    return DTLSL_OK;
}

/* ---- certificates ---- */

/* OpenSSL would ask the terminal. */
static int
no_password(char *buf, int size, int rwflag, void *user)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)user;
    return -1;
}

static int32_t
parse_key(EVP_PKEY **out, const uint8_t *text, size_t len, const char *path,
          const err_sink *sink)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);

    if (bio != NULL)
        *out = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    return *out != NULL
               ? DTLSL_OK
               : fail_tls(sink, DTLSL_ERR_CREDENTIALS, "key-file", path,
                          "it is to hold a private key in PEM, "
                          "without a passphrase");
}

static int32_t
read_key(EVP_PKEY **out, const dtlsl__tls_options *options,
         const err_sink *sink)
{
    const char *path = options->key_file;
    uint8_t *text = NULL;
    size_t len = 0;
    int32_t err;

    if (path == NULL)
        path = options->cert_file;
    err = read_file(sink, "key-file", path, &text, &len);
    if (err < 0)
        return err;
    if (options->key_file == NULL &&
        strstr((char *)text, "PRIVATE KEY-----") == NULL)
        err =
            fail(sink, DTLSL_ERR_CREDENTIALS,
                 "cert-file %s has no private key in it; set key-file", path);
    else
        err = parse_key(out, text, len, path, sink);
    OPENSSL_clear_free(text, len);
    return err;
}

static int32_t
use_certificate(SSL_CTX *ctx, const dtlsl__tls_options *options,
                const err_sink *sink)
{
    const char *cert = options->cert_file;
    const char *key = options->key_file == NULL ? cert : options->key_file;
    EVP_PKEY *pkey = NULL;
    uint8_t *text = NULL;
    size_t len = 0;
    int32_t err = read_file(sink, "cert-file", cert, &text, &len);

    if (err < 0)
        return err;
    OPENSSL_clear_free(text, len);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return fail_tls(sink, DTLSL_ERR_CREDENTIALS, "cert-file", cert,
                        "it is to hold the server's certificate in PEM, then "
                        "its chain");
    err = read_key(&pkey, options, sink);
    if (err == DTLSL_OK && (SSL_CTX_use_PrivateKey(ctx, pkey) != 1 ||
                            SSL_CTX_check_private_key(ctx) != 1))
        err = fail(sink, DTLSL_ERR_CREDENTIALS,
                   "key-file %s does not belong to the certificate in "
                   "cert-file %s; name the pair that was made together",
                   key, cert);
    EVP_PKEY_free(pkey);
    return err;
}

/* Subject and issuer. The names in an X509 are const since OpenSSL 4.0. */
static int
set_common_name(X509 *cert, const char *text)
{
    X509_NAME *name = X509_NAME_new();
    int ok =
        name != NULL &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                   (const unsigned char *)text, -1, -1, 0) &&
        X509_set_subject_name(cert, name) && X509_set_issuer_name(cert, name);

    X509_NAME_free(name);
    return ok;
}

static int
add_names(X509 *cert)
{
    X509_EXTENSION *san = X509V3_EXT_conf_nid(
        NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1");
    int ok = san != NULL && set_common_name(cert, "localhost") &&
             X509_add_ext(cert, san, -1);

    X509_EXTENSION_free(san);
    return ok;
}

static X509 *
self_sign(EVP_PKEY *pkey)
{
    const long day = 86400;
    uint64_t serial = 0;
    X509 *cert = X509_new();

    if (cert == NULL ||
        RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1 ||
        !X509_set_version(cert, X509_VERSION_3) ||
        !ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) ||
        /* A day early, for clients whose clock is behind. */
        X509_gmtime_adj(X509_getm_notBefore(cert), -day) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(cert), 3650 * day) == NULL ||
        !X509_set_pubkey(cert, pkey) || !add_names(cert) ||
        !X509_sign(cert, pkey, EVP_sha256())) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static int32_t
use_self_signed(SSL_CTX *ctx, const err_sink *sink)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *cert = pkey == NULL ? NULL : self_sign(pkey);
    int32_t err = DTLSL_OK;

    if (cert == NULL || SSL_CTX_use_certificate(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, pkey) != 1)
        err = fail_tls(sink, DTLSL_ERR_TLS, "self-signed", "1",
                       "use cert-file and key-file instead");
    X509_free(cert);
    EVP_PKEY_free(pkey);
    return err;
}

/* A session is resumed only where the same client certificates are asked for:
 * servers that share ticket keys may differ in that. */
static int
set_session_context(SSL_CTX *ctx, const uint8_t *ca, size_t len)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len = 0;

    return EVP_Digest(ca == NULL ? (const uint8_t *)"dtlslisten" : ca,
                      ca == NULL ? 10 : len, digest, &digest_len, EVP_sha256(),
                      NULL) == 1 &&
           SSL_CTX_set_session_id_context(ctx, digest, digest_len) == 1;
}

static int32_t
use_ca_file(SSL_CTX *ctx, const char *path, const err_sink *sink)
{
    STACK_OF(X509_NAME) *names = NULL;
    uint8_t *text = NULL;
    size_t len = 0;
    int32_t err = read_file(sink, "ca-file", path, &text, &len);

    if (err < 0)
        return err;
    if (SSL_CTX_load_verify_file(ctx, path) == 1)
        names = SSL_load_client_CA_file(path);
    if (names == NULL || !set_session_context(ctx, text, len)) {
        err = fail_tls(sink, DTLSL_ERR_CREDENTIALS, "ca-file", path,
                       "it is to hold the certificates in PEM that sign "
                       "those of clients");
        sk_X509_NAME_pop_free(names, X509_NAME_free);
    } else {
        SSL_CTX_set_client_CA_list(ctx, names);
        SSL_CTX_set_verify(
            ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    OPENSSL_clear_free(text, len);
    return err;
}

/* ---- the rest of an SSL_CTX ---- */

static int32_t
use_ticket_keys(SSL_CTX *ctx, const char *path, const err_sink *sink)
{
    uint8_t *keys = NULL;
    size_t len = 0;
    int32_t err = read_file(sink, "ticket-key-file", path, &keys, &len);

    if (err < 0)
        return err;
    if (len != TICKET_KEY_LEN)
        err = fail(sink, DTLSL_ERR_CREDENTIALS,
                   "ticket-key-file %s: %zu bytes; it is to hold exactly %d "
                   "random bytes",
                   path, len, TICKET_KEY_LEN);
    else if (SSL_CTX_set_tlsext_ticket_keys(ctx, keys, TICKET_KEY_LEN) != 1)
        err = fail_tls(sink, DTLSL_ERR_TLS, "ticket-key-file", path,
                       "leave it out");
    OPENSSL_clear_free(keys, len);
    return err;
}

static int32_t
use_ciphers(SSL_CTX *ctx, const dtlsl__tls_options *options,
            const err_sink *sink)
{
    const char *ciphers = options->ciphers;

    if (ciphers == NULL)
        ciphers = options->psk_file == NULL ? CERT_CIPHERS
                                            : CERT_CIPHERS ":" PSK_CIPHERS;
    if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
        return fail_tls(sink, DTLSL_ERR_ARGUMENT, "ciphers", ciphers,
                        "\"openssl ciphers -v\" lists the names");
    return DTLSL_OK;
}

static int32_t
set_basics(SSL_CTX *ctx, const err_sink *sink)
{
    SSL_CTX_set_options(
        ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_ENCRYPT_THEN_MAC |
                 SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(ctx, MAX_CERT_LIST);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1 ||
        !set_session_context(ctx, NULL, 0))
        return fail_tls(sink, DTLSL_ERR_TLS, "SSL_CTX", "for DTLS 1.2",
                        "see whether openssl.cnf forbids it");
    return DTLSL_OK;
}

/* Of clients that take no tickets; with them the client keeps it all. */
static void
use_session_cache(SSL_CTX *ctx, uint32_t most)
{
    SSL_CTX_set_session_cache_mode(ctx, most > 0 ? SSL_SESS_CACHE_SERVER
                                                 : SSL_SESS_CACHE_OFF);
    if (most > 0) /* for OpenSSL 0 is without a bound */
        SSL_CTX_sess_set_cache_size(ctx, (long)most);
}

static int32_t
use_options(SSL_CTX *ctx, credentials *own, const dtlsl__tls_options *options,
            const err_sink *sink)
{
    int32_t err = set_basics(ctx, sink);

    use_session_cache(ctx, options->session_cache);
    if (err == DTLSL_OK)
        err = use_ciphers(ctx, options, sink);
    if (err == DTLSL_OK && options->cert_file != NULL)
        err = use_certificate(ctx, options, sink);
    if (err == DTLSL_OK && options->self_signed)
        err = use_self_signed(ctx, sink);
    if (err == DTLSL_OK && options->ca_file != NULL)
        err = use_ca_file(ctx, options->ca_file, sink);
    if (err == DTLSL_OK && options->psk_file != NULL)
        err = use_psk_file(ctx, own, options->psk_file, sink);
    if (err == DTLSL_OK && options->alpn != NULL)
        err = use_alpn(ctx, own, options->alpn, sink);
    if (err == DTLSL_OK && options->ticket_key_file != NULL)
        err = use_ticket_keys(ctx, options->ticket_key_file, sink);
    else if (err == DTLSL_OK && !dtlsl__tickets_use(ctx, NULL))
        err = fail_tls(sink, DTLSL_ERR_TLS, "ticket keys", "of our own",
                       "set ticket-key-file");
    return err;
}

static int32_t
ctx_new(SSL_CTX **out, const dtlsl__tls_options *options, const err_sink *sink)
{
    SSL_CTX *ctx = index_ready() ? SSL_CTX_new(DTLS_server_method()) : NULL;
    credentials *own = ctx == NULL ? NULL : OPENSSL_zalloc(sizeof(*own));
    int32_t err;

    if (own == NULL || !SSL_CTX_set_ex_data(ctx, credentials_index, own)) {
        err = fail_tls(sink, DTLSL_ERR_TLS, "SSL_CTX_new", "failed",
                       "see whether openssl.cnf is in order");
        OPENSSL_free(own);
        SSL_CTX_free(ctx);
        return err;
    }
    err = use_options(ctx, own, options, sink);
    if (err < 0) {
        SSL_CTX_free(ctx);
        return err;
    }
    *out = ctx;
    return DTLSL_OK;
}

int32_t
dtlsl__tls_ctx_new(struct ssl_ctx_st **out, const dtlsl__tls_options *options,
                   char *err, size_t err_len)
{
    const err_sink sink = {err, err_len};
    dtlsl__tls_errors saved;
    int32_t result;

    if (options->cert_file == NULL && options->psk_file == NULL &&
        !options->self_signed)
        return fail(&sink, DTLSL_ERR_CREDENTIALS,
                    "no credentials; set cert-file and key-file, or "
                    "psk-file, or self-signed=1 for a first try");
    dtlsl__tls_enter(&saved);
    result = ctx_new(out, options, &sink);
    dtlsl__tls_leave(&saved);
    return result;
}

/* ---- reloading ---- */

static int
keep_self_signed(SSL_CTX *fresh, SSL_CTX *old)
{
    return SSL_CTX_use_certificate(fresh, SSL_CTX_get0_certificate(old)) ==
               1 &&
           SSL_CTX_use_PrivateKey(fresh, SSL_CTX_get0_privatekey(old)) == 1;
}

int32_t
dtlsl__tls_ctx_keep(struct ssl_ctx_st *fresh, struct ssl_ctx_st *old,
                    const dtlsl__tls_options *options, char *err,
                    size_t err_len)
{
    const err_sink sink = {err, err_len};
    dtlsl__tls_errors saved;
    int32_t result = DTLSL_OK;

    dtlsl__tls_enter(&saved);
    if (options->ticket_key_file == NULL && !dtlsl__tickets_use(fresh, old))
        result = fail_tls(&sink, DTLSL_ERR_TLS, "ticket keys", "of before",
                          "set ticket-key-file");
    else if (options->self_signed && !keep_self_signed(fresh, old))
        result = fail_tls(&sink, DTLSL_ERR_TLS, "self-signed", "of before",
                          "use cert-file and key-file instead");
    dtlsl__tls_leave(&saved);
    return result;
}
