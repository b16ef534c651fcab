/* SPDX-License-Identifier: MIT
 * Addresses: struct sockaddr <-> the 24 canonical bytes of dtlsl_path <->
 * text. IPv4 and v4-mapped IPv6 are the same address. */
#ifndef DTLSL_ADDRESS_H
#define DTLSL_ADDRESS_H

#include <dtlslisten/gate.h>
#include <sys/socket.h>

enum {
    DTLSL__ADDRESS_LEN = 24
};

/* DTLSL_ERR_ARGUMENT unless AF_INET or AF_INET6 with enough bytes. */
int32_t dtlsl__address_from_sockaddr(uint8_t address[24],
                                     const struct sockaddr *sa, size_t len);

/* The address for a socket of 'family' (AF_INET6: IPv4 becomes v4-mapped).
 * Returns its length, 0 if the family cannot express it. */
socklen_t dtlsl__address_to_sockaddr(const uint8_t address[24], int family,
                                     struct sockaddr_storage *out);

/* "192.0.2.1:4433", "[2001:db8::1]:4433", "[fe80::1%2]:4433". Returns the
 * text's length or DTLSL_ERR_SPACE. */
int32_t dtlsl__address_text(const uint8_t address[24], char *buf,
                            size_t buf_len);

/* Numeric host with optional %zone (name or number); NULL: all zero (::). */
int32_t dtlsl__address_parse(uint8_t address[24], const char *host,
                             uint16_t port);

uint16_t dtlsl__address_port(const uint8_t address[24]);
int dtlsl__address_is_v4(const uint8_t address[24]);

/* Multicast, the limited broadcast address, or (as a source) unspecified. */
int dtlsl__address_is_multicast(const uint8_t address[24]);
int dtlsl__address_is_unspecified(const uint8_t address[24]);

/* The prefixes that limits count: IPv4 /32 (also inside 64:ff9b::/96), IPv6
 * /64 ('wide' 0) and /48 ('wide' 1). Fills 16 bytes, unused bits zero. IPv4
 * has the same prefix for both. */
void dtlsl__address_prefix(const uint8_t address[24], int wide,
                           uint8_t prefix[16]);

#endif
