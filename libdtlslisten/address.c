/* SPDX-License-Identifier: MIT
 * Addresses: struct sockaddr <-> 24 canonical bytes <-> text. */
#include "address.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AT_V4 = 12,
    AT_PORT = 16,
    AT_ZONE = 18,
    HOST_LEN = 16
};

static const uint8_t mapped[AT_V4] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};
static const uint8_t nat64[AT_V4] = {0, 0x64, 0xff, 0x9b};
static const uint8_t zeros[HOST_LEN];

static int
is_link_local(const uint8_t *address)
{
    return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

static void
put_port(uint8_t *address, uint16_t port)
{
    address[AT_PORT] = (uint8_t)(port >> 8);
    address[AT_PORT + 1] = (uint8_t)port;
}

/* A zone means something for link-local addresses only. */
static void
put_zone(uint8_t *address, uint32_t zone)
{
    if (!is_link_local(address))
        return;
    for (int i = 3; i >= 0; i--, zone >>= 8)
        address[AT_ZONE + i] = (uint8_t)zone;
}

static uint32_t
get_zone(const uint8_t *address)
{
    uint32_t zone = 0;

    for (int i = 0; i < 4; i++)
        zone = zone << 8 | address[AT_ZONE + i];
    return zone;
}

static void
put_v4(uint8_t *address, const void *v4)
{
    memcpy(address, mapped, sizeof(mapped));
    memcpy(address + AT_V4, v4, 4);
}

static void
from_in(uint8_t *address, const struct sockaddr *sa)
{
    struct sockaddr_in in;

    memcpy(&in, sa, sizeof(in));
    memset(address, 0, DTLSL__ADDRESS_LEN);
    put_v4(address, &in.sin_addr);
    put_port(address, ntohs(in.sin_port));
}

static void
from_in6(uint8_t *address, const struct sockaddr *sa)
{
    struct sockaddr_in6 in6;

    memcpy(&in6, sa, sizeof(in6));
    memset(address, 0, DTLSL__ADDRESS_LEN);
    memcpy(address, &in6.sin6_addr, HOST_LEN);
    put_port(address, ntohs(in6.sin6_port));
    put_zone(address, in6.sin6_scope_id);
}

int32_t
dtlsl__address_from_sockaddr(uint8_t address[24], const struct sockaddr *sa,
                             size_t len)
{
    sa_family_t family;
    size_t at = offsetof(struct sockaddr, sa_family);

    if (sa == NULL || len < at + sizeof(family))
        return DTLSL_ERR_ARGUMENT;
    memcpy(&family, (const char *)sa + at, sizeof(family));
    if (family == AF_INET && len >= sizeof(struct sockaddr_in))
        from_in(address, sa);
    else if (family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
        from_in6(address, sa);
    else
        return DTLSL_ERR_ARGUMENT;
    return DTLSL_OK;
}

static socklen_t
to_in(const uint8_t *address, struct sockaddr_storage *out)
{
    struct sockaddr_in in;

    if (!dtlsl__address_is_v4(address) &&
        memcmp(address, zeros, HOST_LEN) != 0)
        return 0;
    memset(&in, 0, sizeof(in));
    in.sin_family = AF_INET;
    in.sin_port = htons(dtlsl__address_port(address));
    memcpy(&in.sin_addr, address + AT_V4, 4);
    memcpy(out, &in, sizeof(in));
    return (socklen_t)sizeof(in);
}

static socklen_t
to_in6(const uint8_t *address, struct sockaddr_storage *out)
{
    struct sockaddr_in6 in6;

    memset(&in6, 0, sizeof(in6));
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(dtlsl__address_port(address));
    in6.sin6_scope_id = get_zone(address);
    memcpy(&in6.sin6_addr, address, HOST_LEN);
    memcpy(out, &in6, sizeof(in6));
    return (socklen_t)sizeof(in6);
}

socklen_t
dtlsl__address_to_sockaddr(const uint8_t address[24], int family,
                           struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (family == AF_INET)
        return to_in(address, out);
    if (family == AF_INET6)
        return to_in6(address, out);
    return 0;
}

int32_t
dtlsl__address_text(const uint8_t address[24], char *buf, size_t buf_len)
{
    char host[INET6_ADDRSTRLEN];
    unsigned port = dtlsl__address_port(address);
    uint32_t zone = get_zone(address);
    int is_v4 = dtlsl__address_is_v4(address);
    int len;

    if (inet_ntop(is_v4 ? AF_INET : AF_INET6, address + (is_v4 ? AT_V4 : 0),
                  host, sizeof(host)) == NULL)
        return DTLSL_ERR_SPACE;
    if (is_v4)
        len = snprintf(buf, buf_len, "%s:%u", host, port);
    else if (zone != 0)
        len = snprintf(buf, buf_len, "[%s%%%u]:%u", host, zone, port);
    else
        len = snprintf(buf, buf_len, "[%s]:%u", host, port);
    return len < 0 || (size_t)len >= buf_len ? DTLSL_ERR_SPACE : len;
}

/* The number of a zone that is an interface's name or all digits. */
static int
parse_zone(const char *text, uint32_t *zone)
{
    uint64_t number = 0;

    *zone = if_nametoindex(text);
    if (*zone != 0)
        return 1;
    if (*text == '\0')
        return 0;
    for (; *text >= '0' && *text <= '9' && number <= UINT32_MAX; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    *zone = (uint32_t)number;
    return *text == '\0' && number <= UINT32_MAX;
}

static int
parse_host(uint8_t *address, const char *host)
{
    char plain[INET6_ADDRSTRLEN];
    const char *percent = strchr(host, '%');
    size_t len = percent ? (size_t)(percent - host) : strlen(host);
    uint8_t v4[4];
    uint32_t zone = 0;

    if (len >= sizeof(plain))
        return 0;
    memcpy(plain, host, len);
    plain[len] = '\0';
    if (inet_pton(AF_INET, plain, v4) == 1)
        put_v4(address, v4);
    else if (inet_pton(AF_INET6, plain, address) != 1)
        return 0;
    if (percent == NULL)
        return 1;
    if (!is_link_local(address) || !parse_zone(percent + 1, &zone))
        return 0;
    put_zone(address, zone);
    return 1;
}

int32_t
dtlsl__address_parse(uint8_t address[24], const char *host, uint16_t port)
{
    uint8_t parsed[DTLSL__ADDRESS_LEN] = {0};

    if (host != NULL && !parse_host(parsed, host))
        return DTLSL_ERR_ARGUMENT;
    put_port(parsed, port);
    memcpy(address, parsed, sizeof(parsed));
    return DTLSL_OK;
}

uint16_t
dtlsl__address_port(const uint8_t address[24])
{
    return (uint16_t)(address[AT_PORT] << 8 | address[AT_PORT + 1]);
}

int
dtlsl__address_is_v4(const uint8_t address[24])
{
    return memcmp(address, mapped, sizeof(mapped)) == 0;
}

int
dtlsl__address_is_multicast(const uint8_t address[24])
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};

    if (!dtlsl__address_is_v4(address))
        return address[0] == 0xff;
    return (address[AT_V4] & 0xf0) == 0xe0 ||
           memcmp(address + AT_V4, broadcast, sizeof(broadcast)) == 0;
}

int
dtlsl__address_is_unspecified(const uint8_t address[24])
{
    if (dtlsl__address_is_v4(address))
        return memcmp(address + AT_V4, zeros, 4) == 0;
    return memcmp(address, zeros, HOST_LEN) == 0;
}

void
dtlsl__address_prefix(const uint8_t address[24], int wide, uint8_t prefix[16])
{
    memset(prefix, 0, HOST_LEN);
    if (dtlsl__address_is_v4(address) ||
        memcmp(address, nat64, sizeof(nat64)) == 0)
        put_v4(prefix, address + AT_V4);
    else
        memcpy(prefix, address, wide ? 6 : 8);
}

int32_t
dtlsl_path_set(dtlsl_path *path, const void *peer, size_t peer_len,
               const void *local, size_t local_len)
{
    dtlsl_path made;
    int32_t err;

    if (path == NULL)
        return DTLSL_ERR_ARGUMENT;
    memset(&made, 0, sizeof(made));
    err = dtlsl__address_from_sockaddr(made.peer, peer, peer_len);
    if (err == DTLSL_OK && (local != NULL || local_len != 0))
        err = dtlsl__address_from_sockaddr(made.local, local, local_len);
    if (err == DTLSL_OK)
        *path = made;
    return err;
}

/* Decimal, as it is printed: no sign, no leading zero. */
static int
parse_port(const char *text, uint16_t *port)
{
    size_t len = strspn(text, "0123456789");
    unsigned long number;

    if (len == 0 || len > 5 || text[len] != '\0' || (*text == '0' && len > 1))
        return 0;
    number = strtoul(text, NULL, 10);
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

/* The inverse of dtlsl__address_text. */
static int32_t
from_text(uint8_t *address, const char *text)
{
    char host[DTLSL_ADDRESS_MAX];
    const char *colon = strrchr(text, ':');
    int in_brackets = *text == '[';
    size_t len;
    uint16_t port;

    if (colon == NULL || !parse_port(colon + 1, &port))
        return DTLSL_ERR_ARGUMENT;
    len = (size_t)(colon - text);
    if (len >= sizeof(host) || (in_brackets && text[len - 1] != ']'))
        return DTLSL_ERR_ARGUMENT;
    memcpy(host, text, len);
    host[len - (size_t)in_brackets] = '\0';
    /* IPv6 addresses have colons, and they alone. */
    if ((strchr(host, ':') != NULL) != in_brackets)
        return DTLSL_ERR_ARGUMENT;
    return dtlsl__address_parse(address, host + in_brackets, port);
}

int32_t
dtlsl_path_set_text(dtlsl_path *path, const char *peer, const char *local)
{
    dtlsl_path made;
    int32_t err;

    if (path == NULL || peer == NULL)
        return DTLSL_ERR_ARGUMENT;
    memset(&made, 0, sizeof(made));
    err = from_text(made.peer, peer);
    if (err == DTLSL_OK && local != NULL)
        err = from_text(made.local, local);
    if (err == DTLSL_OK)
        *path = made;
    return err;
}
