/* spec.c - LPARs from an administrator's words. See the header. */
#include "lpar/spec.h"

#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int take_path(const json_t *parameters, const char *key, char *out, struct vios_error *error)
{
    const char *path = json_get_text(parameters, key);
    if (!path || !path[0]) {
        out[0] = 0;
        return VIOS_OK;
    }
    if (path[0] != '/') {
        return error_set(error, VIOS_E_USAGE, key, "give a path that begins with /",
                         "\"%.200s\" is not an absolute path", path);
    }
    if (strlen(path) >= PATH_MAX) {
        return error_set(error, VIOS_E_USAGE, key, NULL, "the path is longer than %d bytes",
                         PATH_MAX - 1);
    }
    snprintf(out, PATH_MAX, "%s", path);
    return VIOS_OK;
}

static int take_word(const json_t *parameters, const char *key, const char *otherwise, char *out,
                     size_t size, struct vios_error *error)
{
    const char *word = json_get_text(parameters, key);
    word = word && word[0] ? word : otherwise;
    size_t length =
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-");
    if (word[length] || length >= size) {
        return error_set(error, VIOS_E_USAGE, key, "give one word of letters, digits and _.+-",
                         "\"%.60s\" is no valid value", word);
    }
    snprintf(out, size, "%s", word);
    return VIOS_OK;
}

static int take_append(const json_t *parameters, struct lpar *lpar, struct vios_error *error)
{
    const char *text = json_get_text(parameters, "append");
    if (text && strlen(text) >= sizeof lpar->append) {
        return error_set(error, VIOS_E_USAGE, "append", NULL, "it is longer than %d bytes",
                         LPAR_APPEND_MAX - 1);
    }
    snprintf(lpar->append, sizeof lpar->append, "%s", text ? text : "");
    return VIOS_OK;
}

const char *spec_word(const json_t *parameters, const char *key, size_t i)
{
    const json_t *value = json_object_get(parameters, key);
    if (json_is_array(value)) {
        const json_t *item = json_array_get(value, i);
        return item ? (json_is_string(item) ? json_string_value(item) : "") : NULL;
    }
    return i == 0 ? json_string_value(value) : NULL;
}

bool spec_is_path(const char *word)
{
    return word[0] == '/';
}

static int refuse_twice(const char *word, struct vios_error *error)
{
    return error_set(error, VIOS_E_USAGE, "disk", NULL, "\"%.200s\" is given twice", word);
}

static int take_file(const char *path, struct lpar *lpar, struct lpar_disk *disk,
                     struct vios_error *error)
{
    if (strlen(path) >= sizeof disk->file) {
        return error_set(error, VIOS_E_USAGE, "disk", NULL, "the path is longer than %d bytes",
                         PATH_MAX - 1);
    }
    snprintf(disk->file, sizeof disk->file, "%s", path);
    for (size_t i = 0; i < lpar->disk_count; i++) {
        if (strcmp(lpar->disks[i].file, path) == 0) {
            return refuse_twice(path, error);
        }
    }
    return VIOS_OK;
}

static int take_lu(const struct lu *lu, struct lpar *lpar, struct lpar_disk *disk,
                   struct vios_error *error)
{
    snprintf(disk->lu, sizeof disk->lu, "%s", lu->udid);
    for (size_t i = 0; i < lpar->disk_count; i++) {
        if (strcmp(lpar->disks[i].lu, lu->udid) == 0) {
            return refuse_twice(lu->name, error);
        }
    }
    return VIOS_OK;
}

/* The next disk: the file of `path`, or with NULL the LU. */
static int add_disk(const char *path, const struct lu *lu, struct lpar *lpar,
                    struct vios_error *error)
{
    size_t i = lpar->disk_count;
    if (i == LPAR_DISKS_MAX) {
        return error_set(error, VIOS_E_USAGE, "disk", NULL, "more than %d disks", LPAR_DISKS_MAX);
    }
    struct lpar_disk *disk = &lpar->disks[i];
    char start[9];
    int status = path ? take_file(path, lpar, disk, error) : take_lu(lu, lpar, disk, error);
    memcpy(start, lpar->uuid, 8);
    start[8] = 0;
    snprintf(disk->id, sizeof disk->id, "disk%zu", i);
    snprintf(disk->serial, sizeof disk->serial, "%s-disk%zu", start, i);
    disk->slot = i == 0 ? LPAR_SLOT_DISK0 : LPAR_SLOT_DISK + (int)i - 1;
    lpar->disk_count += status == VIOS_OK;
    return status;
}

static int take_disks(const json_t *parameters, const struct lu *lus, size_t lu_count,
                      struct lpar *lpar, struct vios_error *error)
{
    const char *word;
    size_t lu = 0;
    int status = VIOS_OK;
    for (size_t i = 0; status == VIOS_OK && (word = spec_word(parameters, "disk", i)) != NULL;
         i++) {
        if (!word[0]) {
            status = error_set(error, VIOS_E_USAGE, "disk", "give an LU, or the path of an image",
                               "a disk needs a name");
        } else if (spec_is_path(word)) {
            status = add_disk(word, NULL, lpar, error);
        } else if (lu < lu_count) {
            status = add_disk(NULL, &lus[lu++], lpar, error);
        } else {
            status = error_set(error, VIOS_E_USAGE, "disk", "give a path that begins with /",
                               "\"%.200s\" is not an absolute path", word);
        }
    }
    for (; status == VIOS_OK && lu < lu_count; lu++) {
        status = add_disk(NULL, &lus[lu], lpar, error);
    }
    return status;
}

static void make_mac(char mac[18])
{
    unsigned char bytes[3];
    while (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
    }
    snprintf(mac, 18, "52:54:00:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2]);
}

static int take_nics(const json_t *parameters, struct lpar *lpar, struct vios_error *error)
{
    const char *text;
    for (size_t i = 0; (text = spec_word(parameters, "nic", i)) != NULL; i++) {
        if (i == LPAR_NICS_MAX) {
            return error_set(error, VIOS_E_USAGE, "nic", NULL, "more than %d network cards",
                             LPAR_NICS_MAX);
        }
        struct lpar_nic *nic = &lpar->nics[i];
        int status = lpar_backend_parse(text, nic, error);
        if (status < 0) {
            return status;
        }
        snprintf(nic->id, sizeof nic->id, "nic%zu", i);
        nic->slot = LPAR_SLOT_NIC + (int)i;
        make_mac(nic->mac);
        lpar->nic_count = i + 1;
    }
    return VIOS_OK;
}

static int take_memory(const json_t *parameters, struct lpar *lpar, struct vios_error *error)
{
    json_int_t bytes = json_get_integer(parameters, "memory");
    if (bytes < (json_int_t)LPAR_MEMORY_MIN || bytes > (json_int_t)LPAR_MEMORY_MAX ||
        bytes % (1 << 20) != 0) {
        return error_set(error, VIOS_E_USAGE, "memory", "give whole MiB, from 1M to 64T",
                         "%lld bytes is no valid size", (long long)bytes);
    }
    lpar->memory_bytes = (uint64_t)bytes;
    return VIOS_OK;
}

static int take_cpus(const json_t *parameters, struct lpar *lpar, struct vios_error *error)
{
    const json_t *cpus = json_object_get(parameters, "cpus");
    lpar->cpus = cpus ? (int)json_integer_value(cpus) : 1;
    if (cpus && (json_integer_value(cpus) < 1 || json_integer_value(cpus) > LPAR_CPUS_MAX)) {
        return error_set(error, VIOS_E_USAGE, "cpus", "give 1 to 255",
                         "%lld is no valid number of CPUs", (long long)json_integer_value(cpus));
    }
    return VIOS_OK;
}

static int check_boot(const struct lpar *lpar, struct vios_error *error)
{
    if (!lpar->kernel[0] && (lpar->initrd[0] || lpar->append[0])) {
        return error_set(error, VIOS_E_USAGE, lpar->initrd[0] ? "initrd" : "append",
                         "give --kernel too", "it needs a kernel");
    }
    if (!lpar->kernel[0] && lpar->disk_count == 0) {
        return error_set(error, VIOS_E_USAGE, "lpar", "give --kernel FILE or --disk DISK",
                         "there is nothing to boot from");
    }
    return VIOS_OK;
}

static int check_file(const char *what, const char *path, bool write, bool device,
                      struct vios_error *error)
{
    char object[96];
    struct stat status;
    snprintf(object, sizeof object, "%s \"%.70s\"", what, path);
    /* O_NONBLOCK: a FIFO must not hang us. */
    int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return error_set(error, VIOS_E_INVALID, object, "give a file that this node can open", "%s",
                         strerror(errno));
    }
    bool good =
        fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || (device && S_ISBLK(status.st_mode)));
    bool empty = good && S_ISREG(status.st_mode) && status.st_size == 0;
    close(fd);
    if (!good) {
        return error_set(error, VIOS_E_INVALID, object, NULL, "it is not a regular file");
    }
    if (empty) {
        return error_set(error, VIOS_E_INVALID, object, NULL, "it is empty");
    }
    return VIOS_OK;
}

int spec_check_files(const struct lpar *lpar, struct vios_error *error)
{
    int status = VIOS_OK;
    if (lpar->kernel[0]) {
        status = check_file("kernel", lpar->kernel, false, false, error);
    }
    if (status == VIOS_OK && lpar->initrd[0]) {
        status = check_file("initrd", lpar->initrd, false, false, error);
    }
    for (size_t i = 0; status == VIOS_OK && i < lpar->disk_count; i++) {
        const struct lpar_disk *disk = &lpar->disks[i];
        if (!disk->lu[0]) { /* disks_check() looks after LUs */
            status = check_file("disk", disk->file, !disk->read_only, true, error);
        }
    }
    return status;
}

/* A whole word in a flags line of /proc/cpuinfo. */
static bool cpu_has_virtualisation(void)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file && !found && getline(&line, &room, file) > 0) {
        if (strncmp(line, "flags", 5) == 0) {
            char *rest = line, *word;
            while (!found && (word = strsep(&rest, " \t\n")) != NULL) {
                found = strcmp(word, "vmx") == 0 || strcmp(word, "svm") == 0;
            }
        }
    }
    free(line);
    if (file) {
        fclose(file);
    }
    return found;
}

int spec_check_accel(const struct lpar *lpar, struct vios_error *error)
{
    if (strcmp(lpar->accel, "kvm") != 0) {
        return VIOS_OK;
    }
    if (!cpu_has_virtualisation() || access("/dev/kvm", R_OK | W_OK) != 0) {
        return error_set(error, VIOS_E_INVALID, "accel", "give --accel tcg",
                         "this machine has no hardware virtualisation");
    }
    return VIOS_OK;
}

static int take_machine(const json_t *parameters, struct lpar *lpar, struct vios_error *error)
{
    int status = take_word(parameters, "accel", LPAR_ACCEL, lpar->accel, sizeof lpar->accel, error);
    if (status == VIOS_OK && strcmp(lpar->accel, "tcg") != 0 && strcmp(lpar->accel, "kvm") != 0) {
        status = error_set(error, VIOS_E_USAGE, "accel", "give tcg or kvm",
                           "\"%s\" is no accelerator", lpar->accel);
    }
    if (status == VIOS_OK) {
        status = take_word(parameters, "cpu", LPAR_CPU, lpar->cpu, sizeof lpar->cpu, error);
    }
    snprintf(lpar->machine, sizeof lpar->machine, "%s", LPAR_MACHINE);
    lpar->serial_console = true;
    lpar->autostart = json_is_true(json_object_get(parameters, "autostart"));
    return status;
}

int spec_build(const json_t *parameters, const struct lu *lus, size_t lu_count, struct lpar *lpar,
               struct vios_error *error)
{
    memset(lpar, 0, sizeof *lpar);
    uuid_make(lpar->uuid);
    const char *name = json_get_text(parameters, "name");
    int status = parse_name(name ? name : "", "LPAR", error);
    if (status == VIOS_OK) {
        snprintf(lpar->name, sizeof lpar->name, "%s", name);
        status = take_memory(parameters, lpar, error);
    }
    if (status == VIOS_OK) {
        status = take_cpus(parameters, lpar, error);
    }
    if (status == VIOS_OK) {
        status = take_machine(parameters, lpar, error);
    }
    if (status == VIOS_OK) {
        status = take_path(parameters, "kernel", lpar->kernel, error);
    }
    if (status == VIOS_OK) {
        status = take_path(parameters, "initrd", lpar->initrd, error);
    }
    if (status == VIOS_OK) {
        status = take_append(parameters, lpar, error);
    }
    if (status == VIOS_OK) {
        status = take_disks(parameters, lus, lu_count, lpar, error);
    }
    if (status == VIOS_OK) {
        status = take_nics(parameters, lpar, error);
    }
    if (status == VIOS_OK) {
        status = check_boot(lpar, error);
    }
    if (status == VIOS_OK) {
        status = spec_check_accel(lpar, error);
    }
    return status == VIOS_OK ? spec_check_files(lpar, error) : status;
}
