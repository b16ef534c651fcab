/* SPDX-License-Identifier: MIT
 * A filter BIO in front of the listening socket's. */
#include "tap_bio.h"
#include <string.h>

static BIO_METHOD *method;

static int
give_held(tap *state, char *data, int len)
{
    int n = state->held_len < len ? state->held_len : len;

    state->replays = 0;
    memcpy(data, state->held, (size_t)n);
    return n;
}

static int
tap_read(BIO *bio, char *data, int len)
{
    tap *state = BIO_get_data(bio);
    int n;

    BIO_clear_retry_flags(bio);
    if (state->replays)
        return give_held(state, data, len);
    if (state->left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    state->left--;
    n = BIO_read(BIO_next(bio), data, len);
    BIO_copy_next_retry(bio);
    state->held_len = n > (int)sizeof(state->held) ? 0 : n;
    if (n > 0 && state->held_len > 0)
        memcpy(state->held, data, (size_t)state->held_len);
    return n;
}

static long
tap_ctrl(BIO *bio, int command, long number, void *pointer)
{
    BIO *next = BIO_next(bio);

    return next == NULL ? 0 : BIO_ctrl(next, command, number, pointer);
}

static int
tap_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO *
tap_new(tap *state, BIO *next)
{
    BIO *bio;

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_FILTER, "tap");
        BIO_meth_set_read(method, tap_read);
        BIO_meth_set_ctrl(method, tap_ctrl);
        BIO_meth_set_create(method, tap_create);
    }
    bio = BIO_new(method);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, state);
    return BIO_push(bio, next);
}

void
tap_stop(void)
{
    BIO_meth_free(method);
}
