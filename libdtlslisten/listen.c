/* SPDX-License-Identifier: MIT
 * DTLSv1_listen() for a datagram that is already here: the gate's verdict,
 * then the step that brings an SSL behind it. */
#include "gate.h"
#include "hello.h"
#include "tls.h"

int32_t
dtlsl_gate_listen(dtlsl_gate *gate, struct ssl_st *ssl, const dtlsl_path *path,
                  const uint8_t *datagram, size_t len, const dtlsl_now *now,
                  dtlsl_verdict *verdict)
{
    int32_t err;

    if (ssl == NULL)
        return DTLSL_ERR_ARGUMENT;
    err = dtlsl_gate_judge(gate, path, datagram, len, now, verdict);
    if (err < 0)
        return err;
    if (verdict->action != DTLSL_ACCEPT)
        return 0;
    return dtlsl__tls_listen(ssl, datagram, verdict->record_len);
}

int32_t
dtlsl_gate_accept(struct ssl_st *ssl, const uint8_t *datagram, size_t len)
{
    dtlsl__hello hello;

    if (ssl == NULL || datagram == NULL || len == 0)
        return DTLSL_ERR_ARGUMENT;
    /* What no gate accepts cannot have been accepted by one. */
    if (dtlsl__hello_read(&hello, datagram, len) != DTLSL_REASON_NONE ||
        hello.cookie_len == 0)
        return DTLSL_ERR_ARGUMENT;
    return dtlsl__tls_listen(ssl, datagram, hello.record_len);
}
