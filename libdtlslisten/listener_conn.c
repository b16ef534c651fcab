/* SPDX-License-Identifier: MIT
 * What the application asks of one connection. */
#include "address.h"
#include "listener_state.h"

/* The answers to the datagrams of a batch leave together: whoever pulls goes
 * on to the rest of it, and then to poll or timeout, which settle. */
static void
done(dtlsl_listener *l)
{
    if (dtlsl__listener_leave(l) &&
        (l->cb != NULL || l->batch_pos >= l->batch_len))
        dtlsl__listener_settle(l);
}

int32_t
dtlsl_conn_send(dtlsl_listener *l, uint64_t conn, const uint8_t *data,
                size_t len)
{
    int32_t err;

    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    if (!l->blocked && dtlsl__engine_output_low(l->engine))
        dtlsl__listener_flush(l);
    dtlsl__listener_enter(l);
    err = dtlsl__engine_send(l->engine, conn, data, len);
    done(l);
    return err;
}

int32_t
dtlsl_conn_close(dtlsl_listener *l, uint64_t conn)
{
    int32_t err;

    if (l == NULL)
        return DTLSL_ERR_ARGUMENT;
    dtlsl__listener_enter(l);
    err = dtlsl__engine_close(l->engine, conn);
    done(l);
    return err;
}

static int32_t
path_text(const dtlsl_listener *l, uint64_t conn, int local, char *buf,
          size_t buf_len)
{
    const dtlsl_path *path;

    if (l == NULL || buf == NULL)
        return DTLSL_ERR_ARGUMENT;
    path = dtlsl__engine_path(l->engine, conn);
    if (path == NULL)
        return DTLSL_ERR_NOCONN;
    return dtlsl__address_text(local ? path->local : path->peer, buf, buf_len);
}

int32_t
dtlsl_conn_peer(const dtlsl_listener *l, uint64_t conn, char *buf,
                size_t buf_len)
{
    return path_text(l, conn, 0, buf, buf_len);
}

int32_t
dtlsl_conn_local(const dtlsl_listener *l, uint64_t conn, char *buf,
                 size_t buf_len)
{
    return path_text(l, conn, 1, buf, buf_len);
}

int32_t
dtlsl_conn_mtu(const dtlsl_listener *l, uint64_t conn)
{
    return l == NULL ? DTLSL_ERR_ARGUMENT : dtlsl__engine_mtu(l->engine, conn);
}

int32_t
dtlsl_conn_set_tag(dtlsl_listener *l, uint64_t conn, uint64_t tag)
{
    uint64_t *place = l == NULL ? NULL : dtlsl__engine_tag(l->engine, conn);

    if (place != NULL)
        *place = tag;
    return place != NULL ? DTLSL_OK
           : l == NULL   ? DTLSL_ERR_ARGUMENT
                         : DTLSL_ERR_NOCONN;
}

uint64_t
dtlsl_conn_tag(const dtlsl_listener *l, uint64_t conn)
{
    uint64_t *place = l == NULL ? NULL : dtlsl__engine_tag(l->engine, conn);

    return place == NULL ? 0 : *place;
}

uint64_t
dtlsl_conn_next(const dtlsl_listener *l, uint64_t conn)
{
    return l == NULL ? 0 : dtlsl__engine_conn_next(l->engine, conn);
}

int32_t
dtlsl_conn_info(const dtlsl_listener *l, uint64_t conn, const char *name,
                char *buf, size_t buf_len)
{
    if (l == NULL || name == NULL || buf == NULL)
        return DTLSL_ERR_ARGUMENT;
    return dtlsl__engine_info(l->engine, conn, name, buf, buf_len);
}

int32_t
dtlsl_conn_peer_certificate(const dtlsl_listener *l, uint64_t conn,
                            uint8_t *buf, size_t buf_len)
{
    if (l == NULL || buf == NULL)
        return DTLSL_ERR_ARGUMENT;
    return dtlsl__engine_peer_certificate(l->engine, conn, buf, buf_len);
}

int32_t
dtlsl_conn_export(const dtlsl_listener *l, uint64_t conn, const char *label,
                  const uint8_t *context, size_t context_len, uint8_t *out,
                  size_t out_len)
{
    if (l == NULL || label == NULL || out == NULL)
        return DTLSL_ERR_ARGUMENT;
    return dtlsl__engine_export(l->engine, conn, label, context, context_len,
                                out, out_len);
}

int32_t
dtlsl_conn_cookie_age(const dtlsl_listener *l, uint64_t conn)
{
    return l == NULL ? DTLSL_ERR_ARGUMENT
                     : dtlsl__engine_cookie_age(l->engine, conn);
}

int32_t
dtlsl_conn_cookie_app(const dtlsl_listener *l, uint64_t conn, uint8_t *buf,
                      size_t buf_len)
{
    if (l == NULL || (buf == NULL && buf_len > 0))
        return DTLSL_ERR_ARGUMENT;
    return dtlsl__engine_cookie_app(l->engine, conn, buf, buf_len);
}

struct ssl_st *
dtlsl_conn_ssl(const dtlsl_listener *l, uint64_t conn)
{
    return l == NULL ? NULL : dtlsl__engine_ssl(l->engine, conn);
}
