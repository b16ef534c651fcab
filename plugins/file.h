/* SPDX-License-Identifier: MIT
 * A small file with secrets that is replaced while the process runs. */
#ifndef DTLSL_FILE_H
#define DTLSL_FILE_H

#include <dtlslisten/base.h>
#include <stddef.h>
#include <stdint.h>

/* What a file looked like when it was read last. */
typedef struct dtlsl__file_look {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t changed_s; /* ctime */
    int64_t changed_ns;
    int64_t written_s; /* mtime */
    int64_t written_ns;
} dtlsl__file_look;

/* Modes that are refused, and what a remedy says of them. */
typedef struct dtlsl__file_rule {
    const char *option; /* "secret-file", for texts */
    uint32_t refused;   /* mode bits */
    uint32_t min;       /* bytes */
    uint32_t max;
} dtlsl__file_rule;

/* Reads a regular file of min to max bytes into buf, max + 1 bytes, following
 * symbolic links. Returns its length, or DTLSL_ERR_FILE with a text. *look and
 * *mode (or NULL) are of the file that was read. */
int32_t dtlsl__file_read(const char *path, const dtlsl__file_rule *rule,
                         uint8_t *buf, dtlsl__file_look *look, uint32_t *mode,
                         char *err, size_t err_len);

/* What was said last of a file, so that the same is not said at every look. */
typedef struct dtlsl__file_fault {
    char text[256];
} dtlsl__file_fault;

/* 1 if the text is another than the last. Forgets that with NULL. */
int dtlsl__file_is_news(dtlsl__file_fault *fault, const char *text);

/* 1 if the file looks as it did, so that reading it again is needless. */
int dtlsl__file_is_unchanged(const char *path, const dtlsl__file_look *look);

#endif
