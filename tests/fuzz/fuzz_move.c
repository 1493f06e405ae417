/* fuzz_move.c - records of moves, and what is planned by them: refused with a reason, or written
 * back they are read as the same; whatever they say, a plan is one of the plans. */
#include "migration/plan.h"
#include "tests/fuzz/text.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_plan(const struct move *move)
{
    struct lpar lpar = {.owner_incarnation = move->incarnation, .generation = move->generation};
    struct plan_facts facts = {.move = move, .lpar = &lpar};
    snprintf(lpar.owner, sizeof lpar.owner, "%s", move->from);
    lpar.wanted = LPAR_RUNNING;
    assert(plan_next(&facts) == PLAN_DROP);
    facts.owner_leaves = true;
    assert(plan_next(&facts) == PLAN_WAIT);
    facts.owner_free = true;
    assert(plan_next(&facts) == PLAN_TAKE);
    lpar.owner[0] = 0;
    lpar.wanted = LPAR_STOPPED;
    facts.owner_free = facts.owner_leaves = false;
    assert(plan_next(&facts) == PLAN_DROP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct move move, again;
    struct vios_error error = {0};
    char *text = text_of(data, size), *written = NULL;
    struct store_value value = {.key = (char *)"/migration/web1", .json = text, .revision = 3};
    if (move_parse(&value, &move, &error) != VIOS_OK) {
        assert(error.code == VIOS_E_CORRUPT && error.message[0]);
    } else {
        assert(strcmp(move.name, "web1") == 0 && move.revision == 3 && move.incarnation > 0);
        written = move_format(&move);
        value.json = written;
        assert(written && move_parse(&value, &again, NULL) == VIOS_OK);
        assert(again.state == move.state && again.source == move.source &&
               again.generation == move.generation && strcmp(again.from, move.from) == 0 &&
               strcmp(again.cause, move.cause) == 0);
        try_plan(&move);
    }
    free(written);
    free(text);
    return 0;
}
