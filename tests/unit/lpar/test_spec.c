/* test_spec.c - LPARs from words, their record, and the command line they give. */
#include "lpar/qemu.h"
#include "lpar/spec.h"

#include "tests/tap.h"

#include <fcntl.h>
#include <sys/stat.h>

static char disk[128], disk2[128], empty[128], fifo[128];

static void make_file(char *path, const char *name, const char *text)
{
    snprintf(path, 128, "%s/%s", tap_folder(), name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) {
        exit(1);
    }
}

static void make_files(void)
{
    make_file(disk, "disk.raw", "x");
    make_file(disk2, "second.raw", "y");
    make_file(empty, "empty", "");
    snprintf(fifo, sizeof fifo, "%s/fifo", tap_folder());
    if (mkfifo(fifo, 0600) != 0) {
        exit(1);
    }
}

static void remove_files(void)
{
    unlink(disk);
    unlink(disk2);
    unlink(empty);
    unlink(fifo);
    rmdir(tap_folder());
}

static int build(json_t *parameters, struct lpar *lpar, struct vios_error *error)
{
    memset(error, 0, sizeof *error);
    int status = spec_build(parameters, NULL, 0, lpar, error);
    json_decref(parameters);
    return status;
}

static void fills_in_the_defaults(void)
{
    static struct lpar lpar;
    struct vios_error error;
    ok(build(json_pack("{s:s, s:I, s:[s, s], s:[s, s]}", "name", "web1", "memory",
                       (json_int_t)(16 << 20), "disk", disk, disk2, "nic", "user", "bridge:br0"),
             &lpar, &error) == VIOS_OK,
       "%s", error.message);
    is_text(lpar.machine, "pc-i440fx-7.2");
    is_text(lpar.accel, "tcg");
    is_int(lpar.cpus, 1);
    is_int(lpar.disk_count, 2);
    is_int(lpar.disks[0].slot, 4);
    is_int(lpar.disks[1].slot, 6);
    is_int(lpar.nics[1].backend, NIC_BRIDGE);
    ok(strncmp(lpar.nics[0].mac, "52:54:00:", 9) == 0, "mac %s", lpar.nics[0].mac);
    ok(strcmp(lpar.nics[0].mac, lpar.nics[1].mac) != 0, "two cards with one MAC");
    is_int(lpar.generation, 0);
    is_text(lpar.owner, "");
}

static void refuses_wrong_words(void)
{
    static struct lpar lpar;
    const json_int_t mib = 1 << 20;
    const struct {
        json_t *parameters;
        int code;
        const char *object;
    } rows[] = {
        {json_pack("{s:s, s:I, s:s}", "name", "-x", "memory", mib, "disk", disk), VIOS_E_USAGE,
         NULL},
        {json_pack("{s:s, s:I, s:s}", "name", "x", "memory", mib + 1, "disk", disk), VIOS_E_USAGE,
         "memory"},
        {json_pack("{s:s, s:I, s:s}", "name", "x", "memory", mib * mib * 128, "disk", disk),
         VIOS_E_USAGE, "memory"},
        {json_pack("{s:s, s:I, s:s, s:i}", "name", "x", "memory", mib, "disk", disk, "cpus", 0),
         VIOS_E_USAGE, "cpus"},
        {json_pack("{s:s, s:I}", "name", "x", "memory", mib), VIOS_E_USAGE, "lpar"},
        {json_pack("{s:s, s:I, s:s}", "name", "x", "memory", mib, "disk", "disk.raw"), VIOS_E_USAGE,
         "disk"},
        {json_pack("{s:s, s:I, s:[s, s]}", "name", "x", "memory", mib, "disk", disk, disk),
         VIOS_E_USAGE, "disk"},
        {json_pack("{s:s, s:I, s:[i]}", "name", "x", "memory", mib, "disk", 5), VIOS_E_USAGE,
         "disk"},
        {json_pack("{s:s, s:I, s:s, s:s}", "name", "x", "memory", mib, "disk", disk, "nic", "tap"),
         VIOS_E_USAGE, "nic"},
        {json_pack("{s:s, s:I, s:s, s:s}", "name", "x", "memory", mib, "disk", disk, "nic",
                   "bridge:a,b"),
         VIOS_E_USAGE, "nic"},
        {json_pack("{s:s, s:I, s:s, s:s}", "name", "x", "memory", mib, "disk", disk, "append", "q"),
         VIOS_E_USAGE, "append"},
        {json_pack("{s:s, s:I, s:s, s:s}", "name", "x", "memory", mib, "disk", disk, "accel",
                   "xen"),
         VIOS_E_USAGE, "accel"},
        {json_pack("{s:s, s:I, s:s, s:s}", "name", "x", "memory", mib, "disk", disk, "cpu",
                   "a,b=c"),
         VIOS_E_USAGE, "cpu"},
        {json_pack("{s:s, s:I, s:s}", "name", "x", "memory", mib, "disk", "/nosuch/file"),
         VIOS_E_INVALID, "disk \"/nosuch/file\""},
        {json_pack("{s:s, s:I, s:s}", "name", "x", "memory", mib, "kernel", empty), VIOS_E_INVALID,
         NULL},
        {json_pack("{s:s, s:I, s:s}", "name", "x", "memory", mib, "disk", fifo), VIOS_E_INVALID,
         NULL},
        {json_pack("{s:s, s:I, s:s}", "name", "x", "memory", mib, "disk", "/tmp"), VIOS_E_INVALID,
         NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vios_error error;
        int status = build(rows[i].parameters, &lpar, &error);
        ok(status == rows[i].code, "row %zu gives %d: %s", i, status, error.message);
        ok(error.message[0], "row %zu says nothing", i);
        if (rows[i].object) {
            is_text(error.object, rows[i].object);
        }
    }
}

static void bounds_the_lists(void)
{
    static struct lpar lpar;
    struct vios_error error;
    json_t *nics = json_array();
    for (int i = 0; i <= LPAR_NICS_MAX; i++) {
        json_array_append_new(nics, json_string("none"));
    }
    is_int(build(json_pack("{s:s, s:I, s:s, s:o}", "name", "x", "memory", (json_int_t)(1 << 20),
                           "disk", disk, "nic", nics),
                 &lpar, &error),
           VIOS_E_USAGE);
    is_text(error.message, "more than 4 network cards");
}

static void example(struct lpar *lpar)
{
    struct vios_error error;
    if (build(json_pack("{s:s, s:I, s:s, s:s, s:s, s:[s, s, s]}", "name", "web1", "memory",
                        (json_int_t)(64 << 20), "disk", disk, "kernel", disk2, "append",
                        "console=ttyS0 a,b", "nic", "user", "bridge:br0", "none"),
              lpar, &error) != VIOS_OK) {
        exit(1);
    }
    snprintf(lpar->uuid, sizeof lpar->uuid, "11111111-2222-4333-8444-555555555555");
    snprintf(lpar->disks[0].serial, sizeof lpar->disks[0].serial, "11111111-disk0");
    for (size_t i = 0; i < lpar->nic_count; i++) {
        snprintf(lpar->nics[i].mac, 18, "52:54:00:00:00:0%u", (unsigned)i % 10);
    }
    snprintf(lpar->owner, sizeof lpar->owner, "n1");
    snprintf(lpar->job, sizeof lpar->job, "j-1");
    lpar->owner_incarnation = 4;
    lpar->generation = 7;
    lpar->wanted = LPAR_RUNNING;
}

static void comes_back_from_its_record(void)
{
    static struct lpar lpar, again;
    struct vios_error error = {.message = ""};
    example(&lpar);
    char *text = lpar_format(&lpar);
    ok(lpar_parse(text, &again, &error) == VIOS_OK, "%s", error.message);
    char *second = lpar_format(&again);
    is_text(second, text);
    is_int(again.generation, 7);
    is_text(again.job, "j-1");
    free(text);
    free(second);
}

/* Each mutation replaces one member; the error must name it. */
static void refuses_damaged_records(void)
{
    static struct lpar lpar, again;
    static const struct {
        const char *path, *json, *bad;
    } rows[] = {
        {"v", "2", "v"},
        {"uuid", "\"x\"", "uuid"},
        {"generation", "-1", "generation"},
        {"generation", "\"7\"", "generation"},
        {"owner", "5", "owner"},
        {"owner", "{\"node\":\"n1\"}", "incarnation"},
        {"wanted", "\"maybe\"", "wanted"},
        {"spec.machine", "\"pc,accel=kvm\"", "machine"},
        {"spec.accel", "\"hax\"", "accel"},
        {"spec.cpus", "0", "cpus"},
        {"spec.memory_bytes", "1", "memory_bytes"},
        {"spec.disks", "{}", "disks"},
        {"spec.disks", "[{\"id\":\"d\",\"slot\":99,\"file\":\"/a\",\"serial\":\"s\"}]", "slot"},
        {"spec.disks", "[{\"id\":\"d\",\"slot\":4,\"file\":\"a\",\"serial\":\"s\"}]", "file"},
        {"spec.disks", "[{\"id\":\"d\",\"slot\":4,\"lu\":\"x\",\"serial\":\"s\"}]", "lu"},
        {"spec.disks",
         "[{\"id\":\"d\",\"slot\":4,\"lu\":\"11111111-2222-4333-8444-555555555555\",\"file\":\"/"
         "a\","
         "\"serial\":\"s\"}]",
         "file"},
        {"spec.nics", "[{\"id\":\"n\",\"slot\":9,\"mac\":\"1\",\"backend\":\"user\"}]", "mac"},
        {"spec.autostart", "1", "autostart"},
        {"spec", "null", "machine"}};
    example(&lpar);
    char *text = lpar_format(&lpar);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vios_error error = {.message = ""};
        char want[64];
        json_t *json = json_loads(text, 0, NULL), *at = json;
        const char *key = rows[i].path;
        if (strncmp(key, "spec.", 5) == 0) {
            at = json_object_get(json, "spec");
            key += 5;
        }
        json_object_set_new(at, key, json_loads(rows[i].json, JSON_DECODE_ANY, NULL));
        char *damaged = json_dumps(json, JSON_COMPACT);
        is_int(lpar_parse(damaged, &again, &error), VIOS_E_CORRUPT);
        snprintf(want, sizeof want, "its record has a bad \"%s\"", rows[i].bad);
        is_text(error.message, want);
        free(damaged);
        json_decref(json);
    }
    struct vios_error error;
    is_int(lpar_parse("[]", &again, &error), VIOS_E_CORRUPT);
    free(text);
}

static void a_disk_may_be_an_lu(void)
{
    static struct lpar lpar, again;
    struct vios_error error = {.message = ""};
    char name[160];
    example(&lpar);
    ok(!lpar_is_shared(&lpar), "shared with files");
    for (size_t i = 0; i < lpar.disk_count; i++) {
        lpar.disks[i].file[0] = 0;
        snprintf(lpar.disks[i].lu, sizeof lpar.disks[i].lu,
                 "11111111-2222-4333-8444-55555555555%zu", i);
    }
    char *text = lpar_format(&lpar);
    ok(lpar_parse(text, &again, &error) == VIOS_OK, "%s", error.message);
    is_text(again.disks[0].lu, lpar.disks[0].lu);
    is_text(again.disks[0].file, "");
    ok(lpar_is_shared(&again) && !again.taken, "not shared, or taken");
    qemu_export_name(&again, &again.disks[0], 7, name, sizeof name);
    is_text(name, "lu/11111111-2222-4333-8444-555555555550/7");
    free(text);
}

static void hashes_what_the_guest_sees(void)
{
    static struct lpar lpar;
    char first[65], second[65];
    example(&lpar);
    lpar_adapter_hash(&lpar, first);
    snprintf(lpar.disks[0].file, PATH_MAX, "/moved");
    lpar.autostart = true;
    lpar_adapter_hash(&lpar, second);
    is_text(second, first);
    lpar.nics[0].mac[16]++;
    lpar_adapter_hash(&lpar, second);
    ok(strcmp(first, second) != 0, "another MAC, the same hash");
}

static const char *const GOLDEN[] = {
    "/usr/bin/qemu-system-x86_64",
    "-name",
    "web1",
    "-uuid",
    "11111111-2222-4333-8444-555555555555",
    "-machine",
    "pc-i440fx-7.2,graphics=off",
    "-accel",
    "tcg",
    "-cpu",
    "qemu64",
    "-smp",
    "1",
    "-m",
    "size=64M",
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-no-reboot",
    "-S",
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-chardev",
    "socket,id=qmp,fd=4,server=on,wait=off",
    "-mon",
    "chardev=qmp,mode=control",
    "-chardev",
    "socket,id=console,fd=5,server=on,wait=off",
    "-serial",
    "chardev:console",
    "-device",
    "pvpanic",
    "-device",
    "ib700",
    "-action",
    "panic=pause,watchdog=pause",
    "-kernel",
    "/proc/self/fd/6",
    "-append",
    "console=ttyS0 a,b",
    "-blockdev",
    "{\"driver\":\"nbd\",\"node-name\":\"disk0\",\"server\":{\"type\":\"unix\","
    "\"path\":\"disk.sock\"},\"export\":\"lu/11111111-2222-4333-8444-555555555555-disk0/7\","
    "\"reconnect-delay\":60,\"open-timeout\":10,\"read-only\":false,"
    "\"cache\":{\"direct\":true},\"discard\":\"unmap\"}",
    "-device",
    "virtio-blk-pci,drive=disk0,id=vdisk0,serial=11111111-disk0,werror=stop,rerror=stop,"
    "addr=0x4,bootindex=1",
    "-blockdev",
    "{\"driver\":\"nbd\",\"node-name\":\"paging\",\"server\":{\"type\":\"unix\","
    "\"path\":\"disk.sock\"},\"export\":\"paging/x/7\",\"reconnect-delay\":60,"
    "\"open-timeout\":10,\"read-only\":false,\"cache\":{\"direct\":true},"
    "\"discard\":\"unmap\"}",
    "-device",
    "virtio-blk-pci,drive=paging,id=vpaging,serial=paging,werror=stop,rerror=stop,addr=0x5",
    "-netdev",
    "user,id=nic0",
    "-device",
    "virtio-net-pci,netdev=nic0,id=vnic0,mac=52:54:00:00:00:00,romfile=,addr=0x10",
    "-netdev",
    "tap,id=nic1,fd=9,vhost=off",
    "-device",
    "virtio-net-pci,netdev=nic1,id=vnic1,mac=52:54:00:00:00:01,romfile=,addr=0x11",
    "-device",
    "virtio-net-pci,id=vnic2,mac=52:54:00:00:00:02,romfile=,addr=0x12",
    NULL};

static void gives_the_golden_command_line(void)
{
    static struct lpar lpar;
    example(&lpar);
    const struct qemu_start start = {.generation = 7, .paging_export = "paging/x/7"};
    char **arguments = qemu_arguments(&lpar, GOLDEN[0], &start);
    size_t i = 0;
    for (; GOLDEN[i] && arguments[i]; i++) {
        is_text(arguments[i], GOLDEN[i]);
    }
    ok(!GOLDEN[i] && !arguments[i], "another number of arguments from %zu on", i);
    qemu_arguments_free(arguments);
}

int main(void)
{
    make_files();
    RUN(fills_in_the_defaults);
    RUN(refuses_wrong_words);
    RUN(bounds_the_lists);
    RUN(comes_back_from_its_record);
    RUN(refuses_damaged_records);
    RUN(a_disk_may_be_an_lu);
    RUN(hashes_what_the_guest_sees);
    RUN(gives_the_golden_command_line);
    remove_files();
    return tap_done();
}
