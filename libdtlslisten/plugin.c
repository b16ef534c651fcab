/* SPDX-License-Identifier: MIT
 * Finds, vets and loads a cookie strategy. dlopen runs constructors: to load
 * is to trust, there is no sandbox. */
#include "plugin.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __ELF__
#include <link.h>
#endif

#define ENTRY "dtlsl_cookie_plugin_v1"

/* Up to and with verify: what is behind it is optional. */
#define TABLE_MIN offsetof(dtlsl_cookie_plugin, tick)

enum {
    NAME_MAX_LEN = 32,
    SEGMENTS_MAX = 64,
    LINKS_MAX = 8
};

/* A file that was opened by dlopen. Its descriptor stays open, so that no
 * later plugin gets the same /proc/self/fd name, which dlopen would answer
 * with this one. */
typedef struct loaded {
    struct loaded *next;
    dev_t device;
    ino_t inode;
    void *handle;
    const dtlsl_cookie_plugin *plugin; /* NULL: it has no usable table */
    char flaw[512];
} loaded;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static loaded *cache;

static int32_t fail(char *err, size_t err_len, int32_t code,
                    const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int32_t
fail(char *err, size_t err_len, int32_t code, const char *format, ...)
{
    va_list args;

    if (err != NULL && err_len > 0) {
        va_start(args, format);
        vsnprintf(err, err_len, format, args);
        va_end(args);
    }
    return code;
}

int
dtlsl__plugin_is_name(const char *name, size_t len)
{
    if (len < 1 || len > NAME_MAX_LEN)
        return 0;
    for (size_t i = 0; i < len; i++) {
        int alnum = (name[i] >= 'a' && name[i] <= 'z') ||
                    (name[i] >= '0' && name[i] <= '9');

        if (!alnum && (i == 0 || (name[i] != '_' && name[i] != '-')))
            return 0;
    }
    return 1;
}

int32_t
dtlsl__plugin_vet(const dtlsl_cookie_plugin *plugin, const char *where,
                  char *err, size_t err_len)
{
    if (plugin == NULL)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "%s: there is no table; return one from " ENTRY, where);
    if (plugin->size < TABLE_MIN)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "%s: its table has %u bytes instead of at least %zu; set "
                    "its size to sizeof(dtlsl_cookie_plugin)",
                    where, plugin->size, TABLE_MIN);
    if (plugin->abi != DTLSL_COOKIE_ABI)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "%s: it is for cookie ABI %u, this library has %d; build "
                    "it anew against this library's <dtlslisten/cookie.h>",
                    where, plugin->abi, DTLSL_COOKIE_ABI);
    if (plugin->name == NULL ||
        !dtlsl__plugin_is_name(plugin->name,
                               strnlen(plugin->name, NAME_MAX_LEN + 1)))
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "%s: the name in its table is not "
                    "[a-z0-9][a-z0-9_-]{0,31}; correct it",
                    where);
    if (plugin->max_cookie_len < 1 ||
        plugin->max_cookie_len > DTLSL_COOKIE_MAX)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "%s: max_cookie_len is %u; a cookie has 1 to %d bytes, "
                    "correct it",
                    where, plugin->max_cookie_len, DTLSL_COOKIE_MAX);
    if (plugin->flags != 0)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "%s: flags 0x%x in its table are unknown; set them to 0",
                    where, plugin->flags);
    if (plugin->open == NULL || plugin->close == NULL ||
        plugin->mint == NULL || plugin->verify == NULL)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "%s: open, close, mint or verify is missing in its "
                    "table; provide all four",
                    where);
    return DTLSL_OK;
}

void
dtlsl__plugin_read(dtlsl_cookie_plugin *out, const dtlsl_cookie_plugin *table)
{
    /* A function is there whole or not at all. */
    size_t len = table->size - table->size % sizeof(table->tick);

    memset(out, 0, sizeof(*out));
    memcpy(out, table, len < sizeof(*out) ? len : sizeof(*out));
    out->size = sizeof(*out);
}

/* ---- who could have written it ---- */

static int
is_trusted(uid_t uid, uid_t file_owner)
{
    return uid == 0 || uid == geteuid() || uid == file_owner;
}

static int32_t
check_directory(const char *dir, uid_t file_owner, char *err, size_t err_len)
{
    struct stat link;
    struct stat st;

    if (lstat(dir, &link) != 0 || stat(dir, &st) != 0)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin directory %s: %s; correct the path", dir,
                    strerror(errno));
    if (!is_trusted(link.st_uid, file_owner) ||
        !is_trusted(st.st_uid, file_owner))
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin directory %s belongs to user %lu, who could "
                    "replace the plugin; chown it to root or to this "
                    "process's user",
                    dir,
                    (unsigned long)(is_trusted(link.st_uid, file_owner)
                                        ? st.st_uid
                                        : link.st_uid));
    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin directory %s can be written by everybody (mode "
                    "%04o); chmod o-w it",
                    dir, (unsigned)(st.st_mode & 07777));
    return DTLSL_OK;
}

static int32_t check_directories(const char *path, uid_t file_owner, int links,
                                 char *err, size_t err_len);

/* Where a link leads, the directories on the way count, too. */
static int32_t
check_link(const char *dir, uid_t file_owner, int links, char *err,
           size_t err_len)
{
    char target[PATH_MAX], path[PATH_MAX];
    ssize_t len = readlink(dir, target, sizeof(target) - 1);
    const char *slash = strrchr(dir, '/');
    int n;

    if (len < 0) /* no link */
        return DTLSL_OK;
    target[len] = '\0';
    n = target[0] == '/' ? snprintf(path, sizeof(path), "%s/", target)
                         : snprintf(path, sizeof(path), "%.*s/%s/",
                                    (int)(slash - dir), dir, target);
    if (n >= (int)sizeof(path) || links == LINKS_MAX)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin directory %s leads through too many links; name "
                    "the directory itself",
                    dir);
    return check_directories(path, file_owner, links + 1, err, err_len);
}

/* Every directory on an absolute path. */
static int32_t
check_directories(const char *path, uid_t file_owner, int links, char *err,
                  size_t err_len)
{
    char dir[PATH_MAX];
    int32_t status = check_directory("/", file_owner, err, err_len);

    for (size_t i = 1; status == DTLSL_OK && path[i] != '\0'; i++) {
        if (path[i] != '/' || path[i - 1] == '/')
            continue;
        memcpy(dir, path, i);
        dir[i] = '\0';
        status = check_directory(dir, file_owner, err, err_len);
        if (status == DTLSL_OK)
            status = check_link(dir, file_owner, links, err, err_len);
    }
    return status;
}

static int32_t
check_file(const char *path, int fd, struct stat *st, char *err,
           size_t err_len)
{
    if (fstat(fd, st) != 0)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin %s: %s; check the file system", path,
                    strerror(errno));
    if (!S_ISREG(st->st_mode))
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin %s is not a regular file; name the .so itself",
                    path);
    if (!is_trusted(st->st_uid, 0))
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin %s belongs to user %lu; chown it to root or to "
                    "this process's user",
                    path, (unsigned long)st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin %s can be written by others (mode %04o); chmod "
                    "go-w it",
                    path, (unsigned)(st->st_mode & 07777));
    return check_directories(path, st->st_uid, 0, err, err_len);
}

/* ---- loading ---- */

static int32_t
open_file(const char *path, int *fd, char *err, size_t err_len)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

    *fd = open(path, flags);
    if (*fd >= 0)
        return DTLSL_OK;
    if (errno == ELOOP)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin %s is a symbolic link; name the file it points "
                    "to, or copy it there",
                    path);
    return fail(err, err_len, DTLSL_ERR_PLUGIN,
                "plugin %s cannot be opened: %s; install it there, or "
                "correct cookie or plugin-dir",
                path, strerror(errno));
}

/* dlopen maps what the program headers say. Behind the end of a file that was
 * cut short there is nothing to read but SIGBUS. */
#ifdef __ELF__
#define ELF_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

static int
is_whole(int fd, uint64_t size)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;

    if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELF_CLASS || header.e_type != ET_DYN ||
        header.e_phentsize != sizeof(segment))
        return 1; /* dlopen says what it is not */
    if (header.e_phnum > SEGMENTS_MAX)
        return 0;
    for (size_t i = 0; i < header.e_phnum; i++) {
        off_t at = (off_t)(header.e_phoff + i * sizeof(segment));

        if (pread(fd, &segment, sizeof(segment), at) !=
            (ssize_t)sizeof(segment))
            return 0;
        if (segment.p_offset > size ||
            segment.p_filesz > size - segment.p_offset)
            return 0;
    }
    return 1;
}
#else
static int
is_whole(int fd, uint64_t size)
{
    (void)fd;
    return size > 0;
}
#endif

static loaded *
find_loaded(const struct stat *st)
{
    for (loaded *l = cache; l != NULL; l = l->next)
        if (l->device == st->st_dev && l->inode == st->st_ino)
            return l;
    return NULL;
}

static int
is_of_another(const void *handle)
{
    for (const loaded *l = cache; l != NULL; l = l->next)
        if (l->handle == handle)
            return 1;
    return 0;
}

/* dlopen of what was checked, not of what has its name by now. */
static void *
map_file(const char *path, int fd, const struct stat *st)
{
    int flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
    char proc[64];
    struct stat now;

    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    if (stat(proc, &now) == 0 && now.st_dev == st->st_dev &&
        now.st_ino == st->st_ino)
        return dlopen(proc, flags);
    if (lstat(path, &now) != 0 || now.st_dev != st->st_dev ||
        now.st_ino != st->st_ino)
        return NULL;
    return dlopen(path, flags);
}

/* glibc knows an object by the name that it was given, here a descriptor's
 * number: where somebody closed that descriptor it is another file's. Then the
 * file gets another number. */
static void *
map_alone(const char *path, int *fd, const struct stat *st)
{
    void *handle = map_file(path, *fd, st);

    while (handle != NULL && is_of_another(handle)) {
        int next = fcntl(*fd, F_DUPFD_CLOEXEC, *fd + 1);

        dlclose(handle);
        if (next < 0)
            return NULL;
        close(*fd);
        *fd = next;
        handle = map_file(path, *fd, st);
    }
    return handle;
}

static void
fill(loaded *l, const char *path, void *handle)
{
    const dtlsl_cookie_plugin *(*entry)(void) = NULL;
    void *symbol = dlsym(handle, ENTRY);
    const dtlsl_cookie_plugin *plugin;

    if (symbol == NULL) {
        snprintf(l->flaw, sizeof(l->flaw),
                 "plugin %.300s does not export " ENTRY
                 "; it is no cookie strategy of this major, name another",
                 path);
        return;
    }
    memcpy(&entry, &symbol, sizeof(entry));
    plugin = entry();
    if (dtlsl__plugin_vet(plugin, path, l->flaw, sizeof(l->flaw)) == DTLSL_OK)
        l->plugin = plugin;
}

/* Takes over fd. */
static int32_t
load_new(loaded **out, const char *path, int fd, const struct stat *st,
         char *err, size_t err_len)
{
    loaded *l = calloc(1, sizeof(*l));
    const char *why;
    void *handle;

    if (l == NULL) {
        close(fd);
        return fail(err, err_len, DTLSL_ERR_NOMEM, "plugin %s: out of memory",
                    path);
    }
    if (!is_whole(fd, (uint64_t)st->st_size)) {
        close(fd);
        free(l);
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin %s is cut short (%lld bytes); install it again",
                    path, (long long)st->st_size);
    }
    dlerror();
    handle = map_alone(path, &fd, st);
    if (handle == NULL) {
        why = dlerror();
        fail(err, err_len, DTLSL_ERR_PLUGIN,
             "plugin %s cannot be loaded: %s; build it as a shared object "
             "for this system, with all that it needs",
             path, why != NULL ? why : "the file was replaced meanwhile");
        close(fd);
        free(l);
        return DTLSL_ERR_PLUGIN;
    }
    l->device = st->st_dev;
    l->inode = st->st_ino;
    l->handle = handle;
    l->next = cache;
    cache = l;
    fill(l, path, handle);
    *out = l;
    return DTLSL_OK;
}

static int32_t
load_path(const dtlsl_cookie_plugin **out, const char *path, char *err,
          size_t err_len)
{
    struct stat st;
    loaded *l = NULL;
    int fd;
    int32_t status = open_file(path, &fd, err, err_len);

    if (status != DTLSL_OK)
        return status;
    status = check_file(path, fd, &st, err, err_len);
    if (status != DTLSL_OK) {
        close(fd);
        return status;
    }
    l = find_loaded(&st);
    if (l != NULL)
        close(fd);
    else
        status = load_new(&l, path, fd, &st, err, err_len);
    if (status != DTLSL_OK)
        return status;
    if (l->plugin == NULL)
        return fail(err, err_len, DTLSL_ERR_PLUGIN, "%s", l->flaw);
    *out = l->plugin;
    return DTLSL_OK;
}

/* DIR/dtlsl_cookie_NAME.so, or the absolute path itself. */
static int32_t
make_path(char path[PATH_MAX], const char *name, const char *dir, char *err,
          size_t err_len)
{
    int len;

    if (name[0] == '/') {
        len = snprintf(path, PATH_MAX, "%s", name);
    } else if (dtlsl__plugin_is_name(name, strlen(name))) {
        if (dir == NULL || dir[0] != '/')
            return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                        "cookie strategy '%s': plugin-dir '%s' is not an "
                        "absolute path; set one",
                        name, dir != NULL ? dir : "");
        len = snprintf(path, PATH_MAX, "%s/dtlsl_cookie_%s.so", dir, name);
    } else {
        return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                    "cookie strategy '%.64s' is neither a name "
                    "([a-z0-9][a-z0-9_-]{0,31}) nor an absolute path",
                    name);
    }
    if (len < 0 || len >= PATH_MAX)
        return fail(err, err_len, DTLSL_ERR_ARGUMENT,
                    "cookie strategy '%.64s...': the path is too long; move "
                    "the plugin",
                    name);
    return DTLSL_OK;
}

int32_t
dtlsl__plugin_load(const dtlsl_cookie_plugin **out, const char *name,
                   const char *dir, char *err, size_t err_len)
{
    char path[PATH_MAX];
    const dtlsl_cookie_plugin *plugin = NULL;
    int32_t status;

#ifdef DTLSL_PLUGIN_DIR_ENV
    if (secure_getenv("DTLSL_PLUGIN_DIR") != NULL)
        dir = secure_getenv("DTLSL_PLUGIN_DIR");
#endif
    status = make_path(path, name, dir, err, err_len);
    if (status != DTLSL_OK)
        return status;
    pthread_mutex_lock(&mutex);
    status = load_path(&plugin, path, err, err_len);
    pthread_mutex_unlock(&mutex);
    if (status != DTLSL_OK)
        return status;
    if (name[0] != '/' && strcmp(plugin->name, name) != 0)
        return fail(err, err_len, DTLSL_ERR_PLUGIN,
                    "plugin %s calls itself '%s', not '%s'; rename the file "
                    "to dtlsl_cookie_%s.so",
                    path, plugin->name, name, plugin->name);
    *out = plugin;
    return DTLSL_OK;
}
