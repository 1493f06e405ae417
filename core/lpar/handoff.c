/* handoff.c - see handoff.h. */
#include "lpar/handoff.h"

#include <stdbool.h>
#include <string.h>

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void handoff_head(uint8_t head[HANDOFF_HEAD], enum handoff_kind kind, size_t size)
{
    put32(head, (uint32_t)kind);
    put32(head + 4, (uint32_t)size);
}

static int begin_piece(struct handoff *handoff, struct vios_error *error)
{
    uint32_t kind = get32(handoff->head), size = get32(handoff->head + 4);
    bool known = kind >= HANDOFF_STATE && kind <= HANDOFF_END;
    bool fits = kind == HANDOFF_END ? size == 0 : size > 0 && size <= HANDOFF_PIECE_MAX;
    if (!known || !fits || kind < handoff->kind || handoff->kind == HANDOFF_END) {
        return error_set(error, VIOS_E_INVALID, "migration", "try it again",
                         "what came from the source is damaged");
    }
    handoff->kind = (enum handoff_kind)kind;
    handoff->left = size;
    handoff->have = 0;
    return VIOS_OK;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* 1: there is a piece by now; 0: more is needed. */
static int take_head(struct handoff *handoff, const uint8_t **data, size_t *left,
                     struct vios_error *error)
{
    size_t count = least(HANDOFF_HEAD - handoff->have, *left);
    memcpy(handoff->head + handoff->have, *data, count);
    handoff->have += count;
    *data += count;
    *left -= count;
    if (handoff->have < HANDOFF_HEAD) {
        return 0;
    }
    int status = begin_piece(handoff, error);
    return status < 0 ? status : 1;
}

int handoff_take(struct handoff *handoff, const uint8_t **data, size_t *left, const uint8_t **piece,
                 size_t *size, struct vios_error *error)
{
    *size = 0;
    if (*left == 0) {
        return HANDOFF_NONE;
    }
    if (handoff->left == 0) {
        int status = take_head(handoff, data, left, error);
        if (status <= 0) {
            return status;
        }
        if (handoff->kind == HANDOFF_END) {
            return HANDOFF_END;
        }
    }
    *piece = *data;
    *size = least(handoff->left, *left);
    *data += *size;
    *left -= *size;
    handoff->left -= *size;
    return *size > 0 ? (int)handoff->kind : HANDOFF_NONE;
}
