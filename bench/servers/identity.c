/* SPDX-License-Identifier: MIT
 * A server's certificate and its key. */
#include "identity.h"
#include "options.h"
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 1 << 20,
    LIFETIME_S = 30 * 24 * 60 * 60
};

static char *
read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, FILE_MAX);

    if (file == NULL)
        refuse(path, strerror(errno));
    if (text == NULL)
        refuse(path, "out of memory");
    if (fread(text, 1, FILE_MAX - 1, file) == 0)
        refuse(path, "it is empty, or cannot be read");
    fclose(file);
    return text;
}

static char *
text_of(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = len > 0 ? strndup(data, (size_t)len) : NULL;

    if (text == NULL)
        refuse("certificate", "it cannot be written");
    BIO_free(bio);
    return text;
}

static X509 *
self_signed(EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);

    if (!X509_set_version(x, X509_VERSION_3) ||
        !ASN1_INTEGER_set(X509_get_serialNumber(x), 1) ||
        !X509_gmtime_adj(X509_getm_notBefore(x), -60) ||
        !X509_gmtime_adj(X509_getm_notAfter(x), LIFETIME_S) ||
        !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    (const unsigned char *)"localhost", -1, -1,
                                    0) ||
        !X509_set_issuer_name(x, name) || !X509_set_pubkey(x, key) ||
        !X509_sign(x, key, EVP_sha256()))
        refuse("certificate", "OpenSSL cannot make one");
    return x;
}

static void
make(identity *id)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *certificate = BIO_new(BIO_s_mem());
    BIO *private = BIO_new(BIO_s_mem());
    X509 *x;

    if (key == NULL || certificate == NULL || private == NULL)
        refuse("certificate", "OpenSSL cannot make a key");
    x = self_signed(key);
    PEM_write_bio_X509(certificate, x);
    PEM_write_bio_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL);
    id->certificate = text_of(certificate);
    id->key = text_of(private);
    X509_free(x);
    EVP_PKEY_free(key);
}

void
identity_get(identity *id, const char *certificate_file, const char *key_file)
{
    if ((certificate_file == NULL) != (key_file == NULL))
        refuse("certificate", "give both -c and -k, or none of them");
    if (certificate_file == NULL) {
        make(id);
        return;
    }
    id->certificate = read_file(certificate_file);
    id->key = read_file(key_file);
}

void
identity_free(identity *id)
{
    free(id->certificate);
    free(id->key);
}
