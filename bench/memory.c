/* SPDX-License-Identifier: MIT
 * How many bytes a listener and its connections keep. */
#include "fuzz/conn_fuzz_seal.h"
#include "memory.h"
#include "record.h"
#include "stage.h"
#include "test.h"
#include <dtlslisten/dtlslisten.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <unistd.h>

enum {
    EACH = 32, /* connections of a kind, of which the mean is told */
    MANY = 1024,
    FEW = 1000,
    MANY_IDLE = 10000,
    EARLY = 4,           /* records of epoch 1 before ChangeCipherSpec */
    EARLY_LEN = 16640,   /* the longest that conn.c takes */
    HELLO_LEN = 16384,   /* the longest ClientHello */
    KEY_EXCHANGE = 2048, /* what conn.c lets a ClientKeyExchange declare */
    CERT_VERIFY = 2304,  /* and a CertificateVerify */
    CERT_LIST = 16384,   /* and a Certificate */
    AHEAD = 11,          /* messages of the future that OpenSSL keeps */
    AHEAD_LEN = 17740,   /* the longest that it takes */
    DATA_LEN = 16384,    /* the longest record of data */
    ALPN_LEN = 16000,    /* fits into the longest ClientHello */
    ROOM = 20000
};

static int json;
static int n_lines;

static void
tell(const char *group, const char *name, double bytes)
{
    static char last[80];

    if (json) {
        printf("%s\n{\"group\":\"%s\",\"name\":\"%s\",\"bytes\":%.0f}",
               n_lines++ == 0 ? "" : ",", group, name, bytes);
        return;
    }
    if (strcmp(group, last) != 0)
        printf("%s\n", group);
    snprintf(last, sizeof(last), "%s", group);
    printf("  %-60s %9.0f\n", name, bytes);
}

/* The machine */

static void
processor(char *name, size_t len)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(name, len, "unknown processor");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        value[strcspn(value, "\n")] = '\0';
        snprintf(name, len, "%s", value + 2);
        break;
    }
    if (f != NULL)
        fclose(f);
}

void
memory_print_machine(void)
{
    char name[128];

    processor(name, sizeof(name));
    printf("%s; %s; libdtlslisten %s\n", name,
           OpenSSL_version(OPENSSL_VERSION), dtlsl_version_string());
}

void
memory_json_machine(void)
{
    char name[128];

    processor(name, sizeof(name));
    printf("\"processor\":\"%s\",\"openssl\":\"%s\",\"version\":\"%s\"", name,
           OpenSSL_version(OPENSSL_VERSION), dtlsl_version_string());
}

/* Half-open connections */

/* What a test gives to a half-open connection; 'sum' counts. */
typedef void (*gift)(stage *s, const dtlsl_path *path, tally *sum);

static void
give_nothing(stage *s, const dtlsl_path *path, tally *sum)
{
    (void)s;
    (void)path;
    (void)sum;
}

static void
give_fragment(stage *s, const dtlsl_path *path, tally *sum, uint8_t type,
              uint16_t seq, uint32_t length)
{
    uint8_t record[64];

    stage_give(s, path, record,
               make_message(record, 9, type, seq, length, 0, 1), sum);
}

static void
give_key_exchange(stage *s, const dtlsl_path *path, tally *sum)
{
    give_fragment(s, path, sum, DTLSL__CLIENT_KEY_EXCHANGE, 2, KEY_EXCHANGE);
}

static void
give_early(stage *s, const dtlsl_path *path, tally *sum)
{
    static uint8_t body[EARLY_LEN], record[ROOM];

    for (uint32_t i = 0; i < 2 * EARLY; i++)
        stage_give(s, path, record,
                   make_record(record, 23, 1, 100 + i, body, sizeof(body)),
                   sum);
}

static void
give_all(stage *s, const dtlsl_path *path, tally *sum)
{
    give_key_exchange(s, path, sum);
    give_early(s, path, sum);
}

static void
give_certificate(stage *s, const dtlsl_path *path, tally *sum)
{
    give_fragment(s, path, sum, DTLSL__CERTIFICATE, 2, CERT_LIST);
}

static void
give_all_certificates(stage *s, const dtlsl_path *path, tally *sum)
{
    give_certificate(s, path, sum);
    give_fragment(s, path, sum, DTLSL__CLIENT_KEY_EXCHANGE, 3, KEY_EXCHANGE);
    give_fragment(s, path, sum, DTLSL__CERTIFICATE_VERIFY, 4, CERT_VERIFY);
    give_early(s, path, sum);
}

/* Where the length of the extensions is. */
static size_t
extensions_at(const uint8_t *hello)
{
    size_t at = 60; /* the cookie's length byte */

    at += 1U + hello[at];
    at += 2U + dtlsl__get16(hello + at);
    at += 1U + hello[at];
    return at;
}

/* What becomes of a second ClientHello before it is given; its new length. */
typedef size_t (*change)(uint8_t *hello, size_t len);

static size_t
keep(uint8_t *hello, size_t len)
{
    (void)hello;
    return len;
}

/* The first fragment of a long one. */
static size_t
cut(uint8_t *hello, size_t len)
{
    size_t at = extensions_at(hello);

    dtlsl__put24(hello + 14, HELLO_LEN);
    dtlsl__put16(hello + at, (uint32_t)(25 + HELLO_LEN - at - 2));
    return len;
}

/* As long as a record can be, by an extension that nobody knows. */
static size_t
grow(uint8_t *hello, size_t len)
{
    size_t at = extensions_at(hello), longest = 13 + 16384;

    memset(hello + len, 0, longest - len);
    dtlsl__put16(hello + len, 0xFFAA);
    dtlsl__put16(hello + len + 2, (uint32_t)(longest - len - 4));
    dtlsl__put16(hello + at, (uint32_t)(longest - at - 2));
    dtlsl__put16(hello + 11, (uint32_t)(longest - 13));
    dtlsl__put24(hello + 14, (uint32_t)(longest - 25));
    dtlsl__put24(hello + 22, (uint32_t)(longest - 25));
    return longest;
}

static void
half_open(const char *name, const char *options, change change_hello,
          gift give)
{
    static uint8_t hello[ROOM];
    stage *s = stage_new(options);
    tally sum = {0};
    item it;

    for (int i = 0; i < EACH + 1; i++) {
        if (i == 1) /* what is made once is there */
            sum = (tally){0};
        stage_second_hello(s, &it);
        memcpy(hello, it.data, it.len);
        stage_give(s, &it.path, hello, change_hello(hello, it.len), &sum);
        give(s, &it.path, &sum);
    }
    ck_assert_uint_eq(stage_counter(s, DTLSL__N_HANDSHAKES), EACH + 1);
    tell("half-open connection", name, (double)sum.live / EACH);
    stage_free(s);
}

/* What is left of a client's flight without its Finished. */
static void
give_plaintext(stage *s, const packet *p, tally *sum)
{
    dtlsl__record record;
    int32_t n;

    for (size_t at = 0;
         (n = dtlsl__record_read(&record, p->data + at, p->len - at)) > 0;
         at += (size_t)n)
        if (record.epoch == 0)
            stage_give(s, &s->peer, p->data + at, (size_t)n, sum);
}

/* One record that the client encrypts. */
static void
give_sealed(stage *s, tally *sum, uint8_t type, uint64_t seq,
            const uint8_t *plain, size_t len)
{
    static uint8_t record[ROOM];

    make_record(record, type, 1, seq, "", 0);
    len = seal(client_ssl(s->c), record, plain, len);
    stage_give(s, &s->peer, record, len, sum);
}

/* What waits for the Finished: messages behind it of which a byte came, and
 * data. */
static void
give_before_finished(stage *s, tally *sum, int data)
{
    static uint8_t body[DATA_LEN];
    uint8_t part[64];
    size_t len;

    for (uint16_t i = 0; i < 2 * AHEAD; i++) {
        len = make_message(part, 0, DTLSL__CERTIFICATE, (uint16_t)(3 + i),
                           AHEAD_LEN, 0, 1);
        give_sealed(s, sum, 22, 1U + i, part + DTLSL__RECORD_HEADER,
                    len - DTLSL__RECORD_HEADER);
    }
    for (uint64_t i = 0; data && i < 2 * EARLY; i++)
        give_sealed(s, sum, 23, 100 + i, body, sizeof(body));
}

/* The smallest with a key of P-256 that OpenSSL reads. */
static X509 *
small_certificate(const identity *own)
{
    X509 *cert = X509_new();

    ck_assert_ptr_nonnull(cert);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, own->key);
    ck_assert_int_gt(X509_sign(cert, own->key, EVP_sha256()), 0);
    return cert;
}

/* Behind the client's own certificate, as many as max_cert_list allows. */
static void
fill_list(SSL *ssl, const identity *own)
{
    X509 *cert = small_certificate(own);
    int each = 3 + i2d_X509(cert, NULL);
    int left = CERT_LIST - 3 - 3 - i2d_X509(own->cert, NULL);

    for (; left >= each; left -= each)
        ck_assert_int_eq(SSL_add1_chain_cert(ssl, cert), 1);
    X509_free(cert);
}

/* What a client adds that goes on to its ChangeCipherSpec. */
enum {
    LONG_HELLO = 1, /* names for ALPN, which OpenSSL keeps; and data */
    FULL_LIST = 2   /* of certificates */
};

static void
change_cipher(const char *name, const char *options, const identity *own,
              int adds)
{
    client_options peer = {.identity = own,
                           .alpn_padding = adds & LONG_HELLO ? ALPN_LEN : 0,
                           .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"};
    stage *s = stage_new(options);
    tally sum = {0};
    packet p;

    for (int i = 0; i < EACH + 1; i++) {
        if (i == 1)
            sum = (tally){0};
        s->peer = stage_path(s);
        s->c = client_new(&peer);
        if (adds & FULL_LIST)
            fill_list(client_ssl(s->c), own);
        client_step(s->c);
        while (client_take(s->c, &p)) {
            give_plaintext(s, &p, &sum);
            packet_free(&p);
        }
        give_before_finished(s, &sum, adds & LONG_HELLO);
        client_free(s->c);
        s->c = NULL;
    }
    ck_assert_uint_eq(stage_counter(s, DTLSL__N_HANDSHAKES), EACH + 1);
    tell("half-open connection", name, (double)sum.live / EACH);
    stage_free(s);
}

/* A config that asks for client certificates. */
static const char *
with_certificates(void)
{
    static char options[256];
    const char *own = stage_certificate(0);

    snprintf(options, sizeof(options), "%s ca-file=%s", own,
             strchr(own, '=') + 1);
    return options;
}

static void
half_open_all(void)
{
    const char *with_ca = with_certificates();

    half_open("ClientHello incomplete, declared 16384 bytes", NULL, cut,
              give_nothing);
    half_open("flight sent, ECDSA P-256", NULL, keep, give_nothing);
    half_open("flight sent, RSA 2048", stage_certificate(2048), keep,
              give_nothing);
    half_open("flight sent, RSA 4096", stage_certificate(4096), keep,
              give_nothing);
    half_open("P-256, after a ClientHello of 16 KB", NULL, grow, give_nothing);
    half_open("P-256, and a fragment of 2048 bytes declared", NULL, keep,
              give_key_exchange);
    half_open("P-256, and four records of epoch 1, 16640 bytes each", NULL,
              keep, give_early);
    half_open("P-256, and all of that", NULL, grow, give_all);
    change_cipher("P-256, key exchange, eleven encrypted messages", NULL, NULL,
                  0);
    change_cipher("P-256, four records of data, 16 KB of ALPN: the most", NULL,
                  NULL, LONG_HELLO);
    half_open("client certificates asked for: flight sent", with_ca, keep,
              give_nothing);
    half_open("the same, and a Certificate of 16384 bytes declared", with_ca,
              keep, give_certificate);
    half_open("the same, and all that can wait", with_ca, grow,
              give_all_certificates);
    change_cipher("the same, key exchange, eleven encrypted messages", with_ca,
                  stage_identity(), 0);
    change_cipher("the same, four records of data, 16 KB of ALPN", with_ca,
                  stage_identity(), LONG_HELLO);
    change_cipher("the same, and a full list of small certificates: the most",
                  with_ca, stage_identity(), LONG_HELLO | FULL_LIST);
}

/* What it sends to a peer that stays silent, until its deadline. */
static void
silent(const char *name, const char *options)
{
    stage *s = stage_new(options);
    uint64_t before;
    item it;

    stage_second_hello(s, &it);
    before = s->out;
    stage_give(s, &it.path, it.data, it.len, NULL);
    tell("bytes sent to a half-open peer that stays silent: at once", name,
         (double)(s->out - before));
    while (stage_counter(s, DTLSL__N_FAILED) == 0)
        stage_wait(s, 100);
    tell("bytes sent to a half-open peer that stays silent: in all", name,
         (double)(s->out - before));
    stage_free(s);
}

/* Open connections */

static void
exchange(stage *s, tally *sum)
{
    packet p;

    do {
        if (!client_is_open(s->c))
            client_step(s->c);
        while (client_take(s->c, &p)) {
            stage_give(s, &s->peer, p.data, p.len, sum);
            packet_free(&p);
        }
    } while (client_waiting(s->c) > 0);
}

/* The client is freed by the caller. */
static void
open_one(stage *s, const client_options *options, int tickets, tally *sum)
{
    s->peer = stage_path(s);
    s->c = client_new(options);
    if (!tickets)
        SSL_set_options(client_ssl(s->c), SSL_OP_NO_TICKET);
    exchange(s, sum);
    ck_assert(client_is_open(s->c));
}

static void
give_junk(stage *s, tally *sum)
{
    uint8_t body[64] = {7}, record[96];

    stage_give(s, &s->peer, record,
               make_record(record, 23, 1, 1 << 20, body, sizeof(body)), sum);
}

static void
give_data(stage *s, tally *sum)
{
    ck_assert_int_eq(client_write(s->c, "data", 4), 4);
    exchange(s, sum);
}

static void
send_data(stage *s, tally *sum)
{
    uint64_t last = 0, id;

    while ((id = dtlsl__engine_conn_next(s->w->engine, last)) != 0)
        last = id;
    tally_start(sum);
    dtlsl__engine_begin(s->w->engine, &s->w->now);
    ck_assert_int_eq(
        dtlsl__engine_send(s->w->engine, last, (const uint8_t *)"data", 4),
        DTLSL_OK);
    tally_stop();
    stage_wait(s, 0);
}

static void
drop_client(stage *s)
{
    client_free(s->c);
    s->c = NULL;
}

/* After the handshake; after data came; after data was sent; after a record
 * that was not genuine. */
static void
open_all(const char *group, const char *options, const client_options *peer)
{
    stage *s = stage_new(options);
    tally sum = {0};
    int64_t opened = 0, received = 0, sent = 0, junk = 0, begin;

    open_one(s, peer, 1, &sum);
    drop_client(s);
    sum = (tally){0};
    for (int i = 0; i < EACH; i++) {
        begin = sum.live;
        open_one(s, peer, 1, &sum);
        opened += sum.live - begin;
        give_data(s, &sum);
        received += sum.live - begin;
        send_data(s, &sum);
        sent += sum.live - begin;
        give_junk(s, &sum);
        junk += sum.live - begin;
        drop_client(s);
    }
    ck_assert_uint_eq(stage_counter(s, DTLSL__N_CONNS), EACH + 1);
    tell(group, "after the handshake", (double)opened / EACH);
    tell(group, "after a datagram came", (double)received / EACH);
    tell(group, "and one was sent", (double)sent / EACH);
    tell(group, "and a record came that was not genuine", (double)junk / EACH);
    stage_free(s);
}

/* What stays after the connection ended. */
static void
ended(const char *name, int tickets)
{
    stage *s = stage_new(NULL);
    tally sum = {0};

    for (int i = 0; i < EACH + 1; i++) {
        if (i == 1)
            sum = (tally){0};
        open_one(s, NULL, tickets, &sum);
        drop_client(s);
        tally_start(&sum);
        stage_clear(s);
        tally_stop();
    }
    tell("connection that has ended", name, (double)sum.live / EACH);
    stage_free(s);
}

/* Many at once */

/* Pages in use; those that are free in the heap are given back before. */
static double
resident(void)
{
    long size = 0, pages = 0;
    FILE *f;

#ifdef __GLIBC__
    malloc_trim(0);
#endif
    f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &size, &pages) != 2)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void
many_half_open(void)
{
    stage *s = stage_new(NULL);
    tally sum = {0};
    double before = resident();
    item it;

    for (int i = 0; i < MANY; i++) {
        stage_second_hello(s, &it);
        stage_give(s, &it.path, it.data, it.len, &sum);
    }
    ck_assert_uint_eq(stage_counter(s, DTLSL__N_HANDSHAKES), MANY);
    tell("1024 half-open connections, each", "allocated",
         (double)sum.live / MANY);
    tell("1024 half-open connections, each", "resident",
         (resident() - before) / MANY);
    stage_free(s);
}

/* All but those that worked last rest. */
static void
many_open(int n)
{
    char group[64];
    stage *s = stage_new(NULL);
    tally sum = {0};
    double before;

    open_one(s, NULL, 1, &sum);
    drop_client(s);
    before = resident();
    sum = (tally){0};
    for (int i = 0; i < n; i++) {
        open_one(s, NULL, 1, &sum);
        give_data(s, &sum);
        drop_client(s);
    }
    snprintf(group, sizeof(group), "%d open connections, each", n);
    tell(group, "allocated", (double)sum.live / n);
    tell(group, "resident", (resident() - before) / n);
    stage_free(s);
}

/* The listener itself */

static void
listeners(void)
{
    dtlsl_config *config;
    dtlsl_listener *l[2];
    tally sum = {0}, first = {0};

    tally_start(&first);
    ck_assert_int_eq(dtlsl_config_new(&config), DTLSL_OK);
    ck_assert_int_eq(dtlsl_config_set(config, "self-signed", "1"), DTLSL_OK);
    for (int i = 0; i < 2; i++) {
        tally_start(i == 0 ? &first : &sum);
        ck_assert_int_eq(dtlsl_listener_new(&l[i], config, NULL), DTLSL_OK);
        ck_assert_int_eq(dtlsl_listener_start(l[i], "127.0.0.1", 0), DTLSL_OK);
    }
    tally_stop();
    tell("listener", "each, without connections", (double)sum.live);
    tell("listener", "their config, P-256", (double)(first.live - sum.live));
    dtlsl_listener_free(l[0]);
    dtlsl_listener_free(l[1]);
    dtlsl_config_free(config);
}

void
memory_measure(int as_json)
{
    client_options with_certificate = {.identity = stage_identity()};

    json = as_json;
    if (json) {
        printf("{");
        memory_json_machine();
        printf(",\"memory\":[");
    } else {
        memory_print_machine();
        printf("bytes that stay allocated, each\n\n");
    }
    listeners();
    half_open_all();
    silent("ECDSA P-256", NULL);
    silent("RSA 2048", stage_certificate(2048));
    silent("RSA 4096", stage_certificate(4096));
    open_all("open connection, ECDSA P-256", NULL, NULL);
    open_all("open connection, with a client's certificate",
             with_certificates(), &with_certificate);
    ended("the client takes tickets", 1);
    ended("it does not: the session cache has it", 0);
    many_half_open();
    many_open(FEW);
    many_open(MANY_IDLE);
    if (json)
        printf("\n]}\n");
}
