/* SPDX-License-Identifier: MIT
 * dtlslisten-keys: where Redis is, and whether secrets may go there. */
#include "file.h"
#include "keys.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
    PORT = 6379
};

/* ---- the URL ---- */

static int
take_part(char out[KEYS_NAME_MAX + 1], const char *from, size_t len)
{
    if (len == 0 || len > KEYS_NAME_MAX)
        return 0;
    memcpy(out, from, len);
    out[len] = '\0';
    return 1;
}

static int
take_port(int *port, const char *text, const char *end)
{
    int value = 0;

    if (text == end || end - text > 5)
        return 0;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        value = value * 10 + (*text - '0');
    }
    *port = value;
    return value >= 1 && value <= 65535;
}

/* "HOST", "HOST:PORT", "[::1]:PORT" */
static int
take_host(keys_target *to, const char *text, const char *end)
{
    const char *stop, *behind;

    if (text < end && *text == '[') {
        text++;
        stop = memchr(text, ']', (size_t)(end - text));
        if (stop == NULL)
            return 0;
        behind = stop + 1;
    } else {
        stop = memchr(text, ':', (size_t)(end - text));
        if (stop == NULL)
            stop = end;
        behind = stop;
    }
    to->port = PORT;
    if (behind < end &&
        (*behind != ':' || !take_port(&to->port, behind + 1, end)))
        return 0;
    return take_part(to->host, text, (size_t)(stop - text));
}

static int
take_url(keys_target *to, const char *url)
{
    const char *slash, *at;

    if (strncmp(url, "redis://", 8) == 0) {
        url += 8;
    } else if (strncmp(url, "rediss://", 9) == 0) {
        url += 9;
        to->tls = 1;
    } else {
        return 0;
    }
    slash = strchr(url, '/');
    if (slash == NULL || !take_part(to->key, slash + 1, strlen(slash + 1)))
        return 0;
    at = memchr(url, '@', (size_t)(slash - url));
    if (at != NULL) {
        if (memchr(url, ':', (size_t)(at - url)) != NULL ||
            !take_part(to->user, url, (size_t)(at - url)))
            return 0;
        url = at + 1;
    }
    return take_host(to, url, slash);
}

/* The URL is not repeated: somebody may have put a password there. */
int
keys_target_parse(keys_target *to, const char *url)
{
    memset(to, 0, sizeof(*to));
    if (take_url(to, url))
        return 1;
    keys_complain("the URL is not redis[s]://[USER@]HOST[:PORT]/KEY; a "
                  "password goes to --password-file");
    return 0;
}

/* ---- the password ---- */

int
keys_target_password(keys_target *to, const char *path)
{
    static const dtlsl__file_rule rule = {.option = "--password-file",
                                          .refused = S_IRWXO,
                                          .min = 1,
                                          .max = KEYS_NAME_MAX + 1};
    char err[512];
    int32_t n = dtlsl__file_read(path, &rule, to->password, NULL, NULL, err,
                                 sizeof(err));

    if (n < 1) {
        keys_complain("%s", err);
        return 0;
    }
    to->password_len = (size_t)n;
    if (to->password[n - 1] == '\n')
        to->password_len--;
    if (to->password_len > 0 && to->password_len <= KEYS_NAME_MAX &&
        memchr(to->password, '\n', to->password_len) == NULL &&
        memchr(to->password, '\0', to->password_len) == NULL)
        return 1;
    explicit_bzero(to->password, sizeof(to->password));
    keys_complain("option --password-file: %s is not one line of 1 to %d "
                  "bytes; write the password, and nothing else, into it",
                  path, KEYS_NAME_MAX);
    return 0;
}

/* ---- the address ---- */

static int
is_loopback(const struct sockaddr *address)
{
    const struct in6_addr *six;
    struct in_addr four;

    if (address->sa_family == AF_INET) {
        four = ((const struct sockaddr_in *)(const void *)address)->sin_addr;
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) ||
           (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == IN_LOOPBACKNET);
}

/* IPv4 first: a Redis that listens on one loopback address has that one. */
static int
take_addresses(keys_target *to, const struct addrinfo *list, int family)
{
    for (; list != NULL; list = list->ai_next) {
        if (list->ai_family != family || to->n_addresses == KEYS_ADDRESSES)
            continue;
        if (!to->tls && !is_loopback(list->ai_addr))
            return KEYS_NOT_LOOPBACK;
        if (getnameinfo(list->ai_addr, list->ai_addrlen,
                        to->address[to->n_addresses], sizeof(to->address[0]),
                        NULL, 0, NI_NUMERICHOST) == 0)
            to->n_addresses++;
    }
    return 0;
}

int
keys_target_resolve(keys_target *to)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int status;

    to->n_addresses = 0;
    if (getaddrinfo(to->host, NULL, &hints, &list) != 0)
        return KEYS_UNKNOWN_HOST;
    status = take_addresses(to, list, AF_INET);
    if (status == 0)
        status = take_addresses(to, list, AF_INET6);
    freeaddrinfo(list);
    if (status == 0 && to->n_addresses == 0)
        status = KEYS_UNKNOWN_HOST;
    return status;
}
