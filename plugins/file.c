/* SPDX-License-Identifier: MIT
 * A small file with secrets that is replaced while the process runs. */
#include "file.h"
#include "strategy.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
look_at(dtlsl__file_look *look, const struct stat *st)
{
    look->device = (uint64_t)st->st_dev;
    look->inode = (uint64_t)st->st_ino;
    look->size = (int64_t)st->st_size;
    look->changed_s = (int64_t)st->st_ctim.tv_sec;
    look->changed_ns = (int64_t)st->st_ctim.tv_nsec;
    look->written_s = (int64_t)st->st_mtim.tv_sec;
    look->written_ns = (int64_t)st->st_mtim.tv_nsec;
}

int
dtlsl__file_is_unchanged(const char *path, const dtlsl__file_look *look)
{
    dtlsl__file_look now;
    struct stat st;

    if (stat(path, &st) != 0)
        return 0;
    look_at(&now, &st);
    return now.device == look->device && now.inode == look->inode &&
           now.size == look->size && now.changed_s == look->changed_s &&
           now.changed_ns == look->changed_ns &&
           now.written_s == look->written_s &&
           now.written_ns == look->written_ns;
}

int
dtlsl__file_is_news(dtlsl__file_fault *fault, const char *text)
{
    const size_t most = sizeof(fault->text) - 1;

    if (text == NULL) {
        fault->text[0] = '\0';
        return 0;
    }
    if (strncmp(fault->text, text, most) == 0)
        return 0;
    snprintf(fault->text, sizeof(fault->text), "%s", text);
    return 1;
}

static int32_t
vet(const char *path, const dtlsl__file_rule *rule, const struct stat *st,
    char *err, size_t err_len)
{
    if (!S_ISREG(st->st_mode))
        return dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                             "option %s: %s is not a regular file; name one",
                             rule->option, path);
    if (st->st_mode & rule->refused)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                             "option %s: %s is open to everybody (mode "
                             "%04o); chmod 0600 it and replace the secret",
                             rule->option, path,
                             (unsigned)(st->st_mode & 07777));
    if (st->st_size < rule->min || st->st_size > rule->max)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                             "option %s: %s has %lld bytes; it must have %u "
                             "to %u",
                             rule->option, path, (long long)st->st_size,
                             rule->min, rule->max);
    return DTLSL_OK;
}

/* Reads up to cap bytes; < 0 on failure, with errno. */
static ssize_t
read_all(int fd, uint8_t *buf, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, buf + len, cap - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int32_t
read_vetted(int fd, const char *path, const dtlsl__file_rule *rule,
            uint8_t *buf, const struct stat *st, char *err, size_t err_len)
{
    int32_t status = vet(path, rule, st, err, err_len);
    ssize_t len;

    if (status != DTLSL_OK)
        return status;
    len = read_all(fd, buf, rule->max + (size_t)1);
    if (len < 0)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                             "option %s: cannot read %s: %s", rule->option,
                             path, strerror(errno));
    if (len != (ssize_t)st->st_size)
        return dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                             "option %s: %s changed while it was read; "
                             "replace it by rename",
                             rule->option, path);
    return (int32_t)len;
}

int32_t
dtlsl__file_read(const char *path, const dtlsl__file_rule *rule, uint8_t *buf,
                 dtlsl__file_look *look, uint32_t *mode, char *err,
                 size_t err_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int32_t status;

    if (fd < 0 || fstat(fd, &st) != 0) {
        status = dtlsl__refuse(err, err_len, DTLSL_ERR_FILE,
                               "option %s: cannot open %s: %s; make it "
                               "readable for this process",
                               rule->option, path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    if (look != NULL)
        look_at(look, &st);
    if (mode != NULL)
        *mode = (uint32_t)st.st_mode & 07777;
    status = read_vetted(fd, path, rule, buf, &st, err, err_len);
    close(fd);
    return status;
}
