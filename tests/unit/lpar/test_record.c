/* test_record.c - an LPAR's record in the store: it is written over by nobody who has not seen what
 * is there, nor for a fenced owner. */
#include "lpar/record.h"

#include "tests/tap.h"
#include "tests/unit/lpar/least.h"

static struct store *store;
static struct operation operation;

static void put(const char *key, const char *json)
{
    struct store_change change = {key, json};
    is_int(store_commit(store, NULL, 0, &change, 1, NULL, &operation), VIOS_OK);
}

static void put_lpar(const char *owner)
{
    static struct lpar lpar;
    least_lpar(&lpar, "g");
    snprintf(lpar.kernel, sizeof lpar.kernel, "/k");
    snprintf(lpar.owner, sizeof lpar.owner, "%s", owner);
    lpar.owner_incarnation = owner[0] ? 3 : 0;
    char *json = lpar_format(&lpar);
    put("/lpar/g", json);
    free(json);
}

static void load(struct lpar *lpar)
{
    ok(lpar_load(store, "g", lpar, &operation) == VIOS_OK, "%s", operation.error.message);
}

static void only_what_was_read_is_written_over(void)
{
    static struct lpar first, second, now;
    put_lpar("");
    load(&first);
    load(&second);
    snprintf(first.job, sizeof first.job, "j-1");
    snprintf(second.job, sizeof second.job, "j-2");
    is_int(lpar_save(store, &first, &operation), VIOS_OK);
    is_int(lpar_save(store, &second, &operation), VIOS_E_CONFLICT);
    load(&now);
    is_text(now.job, "j-1");
    first.job[0] = '\0'; /* it knows the revision that it wrote */
    is_int(lpar_save(store, &first, &operation), VIOS_OK);
    put("/lpar/g", NULL);
    is_int(lpar_save(store, &first, &operation), VIOS_E_CONFLICT);
}

static void the_start_of_its_qemu_is_kept_while_it_has_an_owner(void)
{
    static struct lpar lpar, again;
    put_lpar("n2");
    load(&lpar);
    is_int(lpar.start, lpar.generation);
    lpar.generation += 2; /* it went on twice */
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    load(&again);
    is_int(again.start, lpar.generation - 2);
    lpar_raise(&again);
    is_int(again.start, again.generation);
    again.start = again.generation + 1; /* which no QEMU can have */
    is_int(lpar_save(store, &again, &operation), VIOS_OK);
    is_int(lpar_load(store, "g", &lpar, &operation), VIOS_E_CORRUPT);
}

static void nothing_is_written_for_a_fenced_owner(void)
{
    static struct lpar lpar;
    put_lpar("n2");
    load(&lpar);
    is_int(lpar_save(store, &lpar, &operation), VIOS_OK);
    put("/fence/n2/3", "{\"v\":1,\"state\":\"closing\"}");
    is_int(lpar_save(store, &lpar, &operation), VIOS_E_STALE);
    is_text(operation.error.message, "node \"n2\" is fenced and may run no guest");
}

int main(void)
{
    char address[128];
    snprintf(address, sizeof address, "sqlite:%s/db", tap_folder());
    operation_start(&operation, 60000, NULL);
    if (store_open(&store, address, true, &operation) != VIOS_OK) {
        printf("# %s\n", operation.error.message);
        return 1;
    }
    RUN(only_what_was_read_is_written_over);
    RUN(the_start_of_its_qemu_is_kept_while_it_has_an_owner);
    RUN(nothing_is_written_for_a_fenced_owner);
    store_close(store);
    return tap_done();
}
