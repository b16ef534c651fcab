/* SPDX-License-Identifier: MIT
 * A BIO that is a queue of datagrams in memory. */
#include "queue_bio.h"
#include <string.h>

static BIO_METHOD *method;

/* What does not fit is lost. */
static int
queue_write(BIO *bio, const char *data, int len)
{
    queue *q = BIO_get_data(bio);
    size_t i = (q->first + q->n) % QUEUE_MAX;

    if (q->n == QUEUE_MAX || len > QUEUE_DATAGRAM)
        return len;
    memcpy(q->data[i], data, (size_t)len);
    q->len[i] = len;
    q->n++;
    return len;
}

static int
queue_read(BIO *bio, char *data, int len)
{
    queue *q = BIO_get_data(bio);
    int n;

    BIO_clear_retry_flags(bio);
    if (q->n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    n = q->len[q->first] < len ? q->len[q->first] : len;
    memcpy(data, q->data[q->first], (size_t)n);
    q->first = (q->first + 1) % QUEUE_MAX;
    q->n--;
    return n;
}

static long
queue_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int
queue_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO *
queue_bio_new(queue *q)
{
    BIO *bio;

    if (method == NULL) {
        method =
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "queue");
        BIO_meth_set_write(method, queue_write);
        BIO_meth_set_read(method, queue_read);
        BIO_meth_set_ctrl(method, queue_ctrl);
        BIO_meth_set_create(method, queue_create);
    }
    bio = BIO_new(method);
    if (bio != NULL)
        BIO_set_data(bio, q);
    return bio;
}

void
queue_bio_stop(void)
{
    BIO_meth_free(method);
}
