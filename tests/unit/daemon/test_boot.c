/* test_boot.c - which incarnation a daemon is, from what its state folder and its record say. */
#include "daemon/boot.h"

#include "base/clock.h"
#include "base/file.h"
#include "tests/tap.h"

#include <fcntl.h>

#define TTL_MS 300
#define SAME 0
#define OTHER 1

static struct node node;
static struct store *store;

static struct operation patient(void)
{
    struct operation operation;
    operation_start(&operation, 20000, NULL);
    return operation;
}

static void put(const char *key, const char *json)
{
    struct operation operation = patient();
    struct store_change change = {key, json};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
}

/* What ran here last, on this boot or another one; incarnation 0: nothing. */
static void note_boot(int boot, int64_t incarnation, int64_t start)
{
    char id[64] = "another boot", text[256];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t size = boot == SAME ? read(fd, id, 36) : 0;
    struct vios_error error;
    close(fd);
    id[size == 36 ? 36 : strlen(id)] = '\0';
    unlinkat(node.state_dir_fd, "boot", 0);
    snprintf(text, sizeof text, "{\"v\":1,\"boot_id\":\"%s\",\"incarnation\":%lld,\"start\":%lld}",
             id, (long long)incarnation, (long long)start);
    if (incarnation > 0) {
        file_replace(node.state_dir_fd, "boot", text, strlen(text), 0600, &error);
    }
}

/* Each row: what ran here last, the record, the fenced incarnation (0: none); what is chosen. */
static const struct {
    int boot;
    int64_t ran, ran_start;
    int64_t incarnation, start; /* of the record; 0: there is none */
    int64_t fenced;
    int64_t chosen, rejoins;
} ROWS[] = {
    {SAME, 0, 0, 0, 0, 0, 1, 0},   /* the first time */
    {SAME, 3, 7, 3, 7, 0, 3, 0},   /* again on the same boot */
    {OTHER, 3, 7, 3, 7, 0, 4, 0},  /* the next boot */
    {SAME, 3, 7, 3, 7, 3, 4, 3},   /* it was fenced */
    {SAME, 4, 7, 3, 7, 3, 4, 3},   /* fenced, and ended before its first renewal */
    {SAME, 3, 7, 9, 0, 9, 10, 9},  /* restored: above both */
    {OTHER, 3, 7, 9, 0, 9, 10, 9}, /* on another boot too */
    {SAME, 12, 7, 9, 0, 9, 13, 9}, /* restored to less than what ran here last, which may run */
    {SAME, 9, 7, 9, 0, 9, 10, 9},
    {SAME, 0, 0, 9, 0, 9, 10, 9}, /* restored, and the state folder is new */
};

static void the_incarnation_fits(void)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char text[128], fence[64];
        struct boot_choice choice;
        struct operation operation = patient();
        note_boot(ROWS[i].boot, ROWS[i].ran, ROWS[i].ran_start);
        snprintf(text, sizeof text, "{\"v\":1,\"incarnation\":%lld,\"start\":%lld,\"n\":1}",
                 (long long)ROWS[i].incarnation, (long long)ROWS[i].start);
        put("/alive/n1", ROWS[i].incarnation ? text : NULL);
        snprintf(fence, sizeof fence, "/fence/n1/%lld", (long long)ROWS[i].fenced);
        put(fence, ROWS[i].fenced ? "{\"v\":1,\"state\":\"free\"}" : NULL);
        is_int(boot_choose(&node, &choice, &operation), VIOS_OK);
        ok(choice.incarnation == ROWS[i].chosen && choice.rejoins == ROWS[i].rejoins,
           "row %zu: %lld, rejoins %lld: %s", i, (long long)choice.incarnation,
           (long long)choice.rejoins, operation.error.message);
        put(fence, NULL);
    }
}

/* A record that no daemon wrote need not be watched for a TTL. */
static void a_restored_record_is_not_watched(void)
{
    struct boot_choice choice;
    struct operation operation;
    note_boot(SAME, 0, 0);
    put("/alive/n1", "{\"v\":1,\"incarnation\":3,\"start\":5,\"n\":1}");
    operation_start(&operation, TTL_MS / 2, NULL);
    is_int(boot_choose(&node, &choice, &operation), VIOS_E_TIMEOUT);
    put("/alive/n1", "{\"v\":1,\"incarnation\":3,\"start\":0,\"n\":0}");
    put("/fence/n1/3", "{\"v\":1,\"state\":\"free\"}");
    operation = patient();
    is_int(boot_choose(&node, &choice, &operation), VIOS_OK);
    is_int(choice.rejoins, 3);
    put("/fence/n1/3", NULL);
}

int main(void)
{
    char address[256], ttl[32];
    struct operation operation = patient();
    struct config *config = config_new();
    snprintf(address, sizeof address, "sqlite:%s/vios.db", tap_folder());
    snprintf(ttl, sizeof ttl, "%dms", TTL_MS);
    int status = store_open(&store, address, true, &operation);
    if (!config || status != VIOS_OK ||
        config_set(config, "ttl", ttl, &operation.error) != VIOS_OK) {
        printf("Bail out! %s\n", operation.error.message);
        return 1;
    }
    node = (struct node){.name = "n1",
                         .config = config,
                         .stores = store_pool_new(address),
                         .state_dir_fd = open(tap_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    RUN(the_incarnation_fits);
    RUN(a_restored_record_is_not_watched);
    store_close(store);
    store_pool_free(node.stores);
    close(node.state_dir_fd);
    config_free(config);
    file_remove_tree(tap_folder(), NULL);
    return tap_done();
}
