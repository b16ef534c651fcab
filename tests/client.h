/* SPDX-License-Identifier: MIT
 * A DTLS client in this process, on OpenSSL and without sockets: each datagram
 * that it wants to send is handed to the test, each one for it comes from the
 * test. And the clock that OpenSSL's timers see. */
#ifndef DTLSL_CLIENT_H
#define DTLSL_CLIENT_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds of gettimeofday() in this program; moved by the test alone. */
void client_clock(uint64_t ms);
/* Sets the wall clock, that is gettimeofday() alone, so far off from it. */
void client_clock_off(int64_t ms);

enum {
    CLIENT_CLOCK_START = 1000000
};

/* A key and a self-signed certificate. */
typedef struct identity {
    X509 *cert;
    EVP_PKEY *key;
} identity;
void identity_make(identity *id, const char *common_name);
void identity_free(identity *id);
/* Writes key and certificate as PEM. */
void identity_save(const identity *id, const char *file);

typedef struct client client;

/* NULL and 0 for what is not wanted. */
typedef struct client_options {
    SSL_CTX *ctx; /* shared by many; else it makes its own */
    void (*on_data)(client *c, void *user, const uint8_t *data, size_t len);
    void *user;
    const char *alpn;      /* "coap,http/1.1" */
    uint32_t alpn_padding; /* bytes of made-up protocols, to be long */
    const char *ciphers;
    const char *server_name;
    const char *psk_identity;
    const uint8_t *psk;
    size_t psk_len;
    const identity *identity;
    SSL_SESSION *session;
    uint32_t mtu; /* largest UDP payload, default 1232 */
    int dtls1;    /* DTLS 1.0 only */
    int verifies; /* ... the certificate, and it knows no authority */
} client_options;

typedef struct packet {
    uint8_t *data;
    size_t len;
} packet;

client *client_new(const client_options *options);
void client_free(client *c);

/* Goes on with the handshake or reads, until it would have to wait. */
void client_step(client *c);
/* Hands it one datagram and steps. */
void client_feed(client *c, const uint8_t *data, size_t len);
/* Does what its retransmission timer wants, if it is due. */
void client_timer(client *c);
/* Its next datagram, to be freed with packet_free; 0 if there is none. */
int client_take(client *c, packet *p);
size_t client_waiting(const client *c);
void client_discard(client *c); /* what it wanted to send is lost */
void packet_free(packet *p);

int client_write(client *c, const void *data, size_t len);
void client_shutdown(client *c);

int client_is_open(const client *c);
int client_is_closed(const client *c); /* close_notify came */
int client_is_dead(const client *c);
/* How many application datagrams came, and the last of them. */
size_t client_received(const client *c);
const uint8_t *client_last(const client *c, size_t *len);
SSL *client_ssl(client *c);

#endif
