/* SPDX-License-Identifier: MIT
 * dtlslisten-keys: reading a key file, and replacing it by rename. */
#include "file.h"
#include "keys.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    /* the header, a service, and lines of at most 4 + 4 + 2 * 14 + 520 */
    PRINT_MAX = 64 + 300 + DTLSL__KEYFILE_KEYS * 600,
    LOCK_WAIT_MS = 10000,
    LOCK_PAUSE_MS = 20,
    LINKS_MAX = 40
};

int
keys_parse(const char *where, const uint8_t *text, size_t len,
           dtlsl__keyfile *file)
{
    char why[256];

    if (dtlsl__keyfile_parse(file, text, len, why, sizeof(why)) >= 0)
        return KEYS_GOOD;
    keys_complain("%s: %s", where, why);
    return KEYS_FAILED;
}

static const dtlsl__file_rule rule = {
    .option = "FILE", .min = 1, .max = DTLSL__KEYFILE_MAX};

uint8_t *
keys_read(const char *path, size_t *len, uint32_t *mode)
{
    uint8_t *text = malloc(DTLSL__KEYFILE_MAX + 1);
    char err[512];
    int32_t n;

    if (text == NULL) {
        keys_complain("out of memory");
        return NULL;
    }
    n = dtlsl__file_read(path, &rule, text, NULL, mode, err, sizeof(err));
    if (n < 0) {
        /* the reader speaks of the options of a strategy */
        keys_complain("%s", err + strlen("option FILE: "));
        keys_forget(text);
        return NULL;
    }
    *len = (size_t)n;
    return text;
}

void
keys_forget(uint8_t *text)
{
    explicit_bzero(text, DTLSL__KEYFILE_MAX + 1);
    free(text);
}

int
keys_is_same(const char *path, const uint8_t *text, size_t len)
{
    uint8_t *there = malloc(DTLSL__KEYFILE_MAX + 1);
    char err[512];
    int32_t n;
    int same;

    if (there == NULL)
        return 0;
    n = dtlsl__file_read(path, &rule, there, NULL, NULL, err, sizeof(err));
    same = n >= 0 && (size_t)n == len && memcmp(there, text, len) == 0;
    keys_forget(there);
    return same;
}

int
keys_load(const char *path, dtlsl__keyfile *file, uint32_t *mode)
{
    size_t len = 0;
    uint8_t *text = keys_read(path, &len, mode);
    int status;

    if (text == NULL)
        return KEYS_FAILED;
    status = keys_parse(path, text, len, file);
    keys_forget(text);
    return status;
}

static size_t
print_key(const dtlsl__keyfile_key *key, char *out, size_t len)
{
    char retire[32] = "-";
    size_t at;

    if (key->retire_s != DTLSL__KEYFILE_NEVER)
        snprintf(retire, sizeof(retire), "%" PRIu64, key->retire_s);
    at = (size_t)snprintf(out, len, "key %u %" PRIu64 " %s hex:", key->kid,
                          key->activate_s, retire);
    for (uint32_t i = 0; i < key->secret_len; i++)
        at += (size_t)snprintf(out + at, len - at, "%02x", key->secret[i]);
    return at + (size_t)snprintf(out + at, len - at, "\n");
}

char *
keys_print(const dtlsl__keyfile *file)
{
    char *out = malloc(PRINT_MAX);
    size_t at;

    if (out == NULL)
        return NULL;
    at = (size_t)snprintf(out, PRINT_MAX, "dtlslisten-cluster-keys 1\n");
    if (file->has_service)
        at += (size_t)snprintf(out + at, PRINT_MAX - at, "service %.*s\n",
                               file->service_len, (const char *)file->service);
    for (uint32_t i = 0; i < file->n_keys; i++)
        at += print_key(&file->key[i], out + at, PRINT_MAX - at);
    return out;
}

/* ---- writing ---- */

static int
write_all(int fd, const uint8_t *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        text += n;
        len -= (size_t)n;
    }
    return 1;
}

/* What to rename onto, and what is there. */
typedef struct place {
    char path[PATH_MAX];
    int is_there;
    struct stat st; /* of the file itself, not of what a link leads to */
} place;

static int refuse(char why[KEYS_WHY_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
refuse(char why[KEYS_WHY_MAX], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, KEYS_WHY_MAX, format, args);
    va_end(args);
    return 0;
}

static int
refuse_to_replace(char why[KEYS_WHY_MAX], const char *path, int cause)
{
    return refuse(why,
                  "cannot replace %s: %s; look at its directory and owner. "
                  "What was there stays",
                  path, strerror(cause));
}

/* Up to and without the last slash. */
static void
name_directory(const char *path, char directory[PATH_MAX])
{
    char *slash;

    snprintf(directory, PATH_MAX, "%s", path);
    slash = strrchr(directory, '/');
    if (slash == NULL)
        snprintf(directory, PATH_MAX, ".");
    else
        slash[slash == directory] = '\0';
}

static int
open_directory(const char *path)
{
    char directory[PATH_MAX];

    name_directory(path, directory);
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
is_trusted(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

/* Whether nobody else can have put there what is there. */
static int
is_ours_alone(const struct stat *directory)
{
    return is_trusted(directory->st_uid) &&
           !(directory->st_mode & (S_IWGRP | S_IWOTH));
}

/* Others must not choose who gets the secrets, or what is overwritten. */
static int
vet(place *at, char why[KEYS_WHY_MAX])
{
    char name[PATH_MAX];
    struct stat directory;

    name_directory(at->path, name);
    if (stat(name, &directory) != 0)
        return refuse_to_replace(why, at->path, errno);
    if ((directory.st_mode & S_IWOTH) && !(directory.st_mode & S_ISVTX))
        return refuse(why,
                      "everybody may write to %s, the directory of %s; chmod "
                      "o-w it, or make a directory in it",
                      name, at->path);
    at->is_there = lstat(at->path, &at->st) == 0;
    if (!at->is_there)
        return errno == ENOENT || refuse_to_replace(why, at->path, errno);
    if (is_trusted(at->st.st_uid) || is_ours_alone(&directory))
        return 1;
    return refuse(why,
                  "%s belongs to user %u, and others may write to its "
                  "directory; run this as that user, or see what it is and "
                  "chown -h it to root",
                  at->path, (unsigned)at->st.st_uid);
}

/* From a link to what it names; 0 with errno. */
static int
follow(place *at)
{
    char directory[PATH_MAX], target[PATH_MAX];
    ssize_t n = readlink(at->path, target, sizeof(target));
    int len;

    if (n < 0)
        return 0;
    name_directory(at->path, directory);
    if (target[0] == '/')
        len = snprintf(at->path, PATH_MAX, "%.*s", (int)n, target);
    else
        len =
            snprintf(at->path, PATH_MAX, "%s/%.*s", directory, (int)n, target);
    errno = ENAMETOOLONG;
    return len < PATH_MAX;
}

/* A symbolic link stays, and what it leads to is replaced. */
static int
find_place(const char *path, place *at, char why[KEYS_WHY_MAX])
{
    int links = 0;

    if (snprintf(at->path, PATH_MAX, "%s", path) >= PATH_MAX)
        return refuse_to_replace(why, path, ENAMETOOLONG);
    while (vet(at, why)) {
        if (at->is_there && !S_ISLNK(at->st.st_mode))
            return 1;
        if (!at->is_there && links == 0)
            return 1;
        errno = at->is_there ? ELOOP : ENOENT;
        if (!at->is_there || links++ == LINKS_MAX || !follow(at))
            return refuse(why,
                          "%s leads nowhere: %s; remove the link, or mend it",
                          path, strerror(errno));
    }
    return 0;
}

/* A file that was there keeps its owner and what the group may read. Without
 * its owner it could be out of the nodes' reach. */
static int
take_over(int fd, const place *at)
{
    struct stat fresh;

    if (!at->is_there)
        return 1;
    if (!S_ISREG(at->st.st_mode)) {
        errno = EINVAL;
        return 0;
    }
    if (fstat(fd, &fresh) != 0)
        return 0;
    if ((at->st.st_uid != fresh.st_uid || at->st.st_gid != fresh.st_gid) &&
        fchown(fd, at->st.st_uid, at->st.st_gid) != 0)
        return 0;
    return fchmod(fd, S_IRUSR | S_IWUSR | (at->st.st_mode & S_IRGRP)) == 0;
}

/* The rename itself must survive a crash, too. */
static void
sync_directory(const char *path)
{
    int fd = open_directory(path);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* Writes a file of mode 0600 beside the place and renames it; errno. */
static int
write_beside(const place *at, const uint8_t *text, size_t len)
{
    char fresh[PATH_MAX];
    int fd, ok, cause;

    if ((size_t)snprintf(fresh, sizeof(fresh), "%s.XXXXXX", at->path) >=
        sizeof(fresh)) {
        errno = ENAMETOOLONG;
        return 0;
    }
    fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0)
        return 0;
    ok = take_over(fd, at) && write_all(fd, text, len) && fsync(fd) == 0;
    cause = errno;
    close(fd);
    if (ok) {
        ok = rename(fresh, at->path) == 0;
        cause = errno;
    }
    if (!ok)
        unlink(fresh);
    errno = cause;
    return ok;
}

/* A signal in between would leave secrets in a file that nobody knows. */
int
keys_replace(const char *path, const uint8_t *text, size_t len,
             char why[KEYS_WHY_MAX])
{
    place at = {.is_there = 0};
    sigset_t all, before;
    int ok, cause;

    if (!find_place(path, &at, why))
        return KEYS_FAILED;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    ok = write_beside(&at, text, len);
    cause = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (!ok) {
        refuse_to_replace(why, at.path, cause);
        return KEYS_FAILED;
    }
    sync_directory(at.path);
    if (at.is_there && at.st.st_mode & S_IRWXO)
        keys_complain("%s was open to everybody (mode %04o); the new one is "
                      "not",
                      at.path, (unsigned)at.st.st_mode & 07777);
    return KEYS_GOOD;
}

/* Whoever can read a directory can lock it, and must not stop us for ever. */
static int
lock_patiently(int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    int status = flock(fd, LOCK_EX | LOCK_NB);

    for (int ms = 0; status != 0 && errno == EWOULDBLOCK && ms < LOCK_WAIT_MS;
         ms += LOCK_PAUSE_MS) {
        nanosleep(&pause, NULL);
        status = flock(fd, LOCK_EX | LOCK_NB);
    }
    return status == 0;
}

int
keys_lock(const char *path)
{
    int fd = open_directory(path);

    if (fd >= 0 && lock_patiently(fd))
        return fd;
    if (fd >= 0 && errno == EWOULDBLOCK)
        keys_complain("the directory of %s is locked by another process; "
                      "find it with lslocks or fuser, end it, and try again",
                      path);
    else
        keys_complain("cannot lock the directory of %s: %s; name one that is "
                      "there",
                      path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}
