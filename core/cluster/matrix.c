/*
 * matrix.c - see matrix.h.
 *
 * A cell a member, by its number. What is done on each tick looks at the neighbours only, so a
 * node's cost does not grow with the cluster.
 */
#include "cluster/matrix.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct cell {
    int64_t heard_ms; /* 0: never */
    int64_t missed;   /* see matrix_take_missed() */
    struct roster_row row;
    bool neighbour;
    bool slow;
};

struct matrix {
    const struct roster *roster;
    int64_t keepalive_ms;
    uint16_t own;
    struct cell *cells;
    size_t cell_count;
    uint16_t neighbours[MATRIX_NEIGHBOURS];
    size_t neighbour_count;
    int64_t slow_until_ms;
    int64_t widen; /* times */
    int64_t widened_ms;
};

struct matrix *matrix_new(const struct roster *roster, int64_t keepalive_ms)
{
    struct matrix *matrix = calloc(1, sizeof *matrix);
    if (matrix) {
        matrix->roster = roster;
        matrix->keepalive_ms = keepalive_ms;
        matrix->own = ROSTER_NOBODY;
        matrix->widen = 1;
    }
    return matrix;
}

void matrix_free(struct matrix *matrix)
{
    if (matrix) {
        free(matrix->cells);
        free(matrix);
    }
}

static bool grow(struct matrix *matrix)
{
    size_t count = roster_count(matrix->roster);
    if (count <= matrix->cell_count) {
        return true;
    }
    struct cell *cells = realloc(matrix->cells, count * sizeof *cells);
    if (!cells) {
        return false;
    }
    memset(cells + matrix->cell_count, 0, (count - matrix->cell_count) * sizeof *cells);
    matrix->cells = cells;
    matrix->cell_count = count;
    return true;
}

/* One that was no neighbour before gets the time of a suspicion to make itself heard. */
static void add_neighbour(struct matrix *matrix, uint16_t node, int64_t now_ms)
{
    struct cell *cell = &matrix->cells[node];
    if (!cell->neighbour) {
        cell->heard_ms = now_ms;
        cell->missed = 0;
        cell->row.count = 0;
    }
    matrix->neighbours[matrix->neighbour_count++] = node;
}

static size_t find_own(const uint16_t *present, size_t count, uint16_t own)
{
    size_t place = 0;
    while (place < count && present[place] != own) {
        place++;
    }
    return place;
}

bool matrix_are_neighbours(size_t place, size_t other, size_t count)
{
    size_t distance = place > other ? place - other : other - place;
    distance = distance < count - distance ? distance : count - distance;
    return place != other && (count - 1 <= MATRIX_NEIGHBOURS || distance <= MATRIX_NEIGHBOURS / 2);
}

void matrix_arrange(struct matrix *matrix, uint16_t own, int64_t now_ms)
{
    size_t count;
    const uint16_t *present = roster_present(matrix->roster, &count);
    size_t place = find_own(present, count, own);
    if (!grow(matrix)) {
        return; /* those known before stay */
    }
    matrix->own = own;
    matrix->neighbour_count = 0;
    for (size_t i = 0; place < count && i < count; i++) {
        if (matrix_are_neighbours(place, i, count)) {
            add_neighbour(matrix, present[i], now_ms);
        }
    }
    for (size_t i = 0; i < matrix->cell_count; i++) {
        matrix->cells[i].neighbour = false;
    }
    for (size_t i = 0; i < matrix->neighbour_count; i++) {
        matrix->cells[matrix->neighbours[i]].neighbour = true;
    }
}

const uint16_t *matrix_neighbours(const struct matrix *matrix, size_t *count)
{
    *count = matrix->neighbour_count;
    return matrix->neighbours;
}

bool matrix_is_neighbour(const struct matrix *matrix, uint16_t node)
{
    return node < matrix->cell_count && matrix->cells[node].neighbour;
}

/* In a row, until now; one that comes a little late is not missing. */
static int64_t missed_until(const struct matrix *matrix, const struct cell *cell, int64_t now_ms)
{
    int64_t periods = (now_ms - cell->heard_ms + matrix->keepalive_ms / 2) / matrix->keepalive_ms;
    int64_t missed = cell->neighbour && periods > 1 ? periods - 1 : 0;
    return missed > cell->missed ? missed : cell->missed;
}

int64_t matrix_take_missed(struct matrix *matrix, uint16_t node, int64_t now_ms)
{
    if (!matrix_is_neighbour(matrix, node)) {
        return 0;
    }
    int64_t missed = missed_until(matrix, &matrix->cells[node], now_ms);
    matrix->cells[node].missed = 0;
    return missed;
}

void matrix_heard(struct matrix *matrix, uint16_t node, const struct roster_row *row, bool slow,
                  int64_t now_ms)
{
    if (node < matrix->cell_count) {
        matrix->cells[node].missed = missed_until(matrix, &matrix->cells[node], now_ms);
        matrix->cells[node].heard_ms = now_ms;
        matrix->cells[node].row = *row;
        matrix->cells[node].slow = slow;
    }
}

void matrix_late(struct matrix *matrix, int64_t late_ms, int64_t now_ms)
{
    for (size_t i = 0; i < matrix->neighbour_count; i++) {
        struct cell *cell = &matrix->cells[matrix->neighbours[i]];
        cell->heard_ms = cell->heard_ms + late_ms < now_ms ? cell->heard_ms + late_ms : now_ms;
    }
    matrix->slow_until_ms = now_ms + MATRIX_SUSPICION_KEEPALIVES * matrix->keepalive_ms;
}

static int64_t widening(const struct matrix *matrix, int64_t now_ms)
{
    return now_ms - matrix->widened_ms < MATRIX_WIDEN_MS ? matrix->widen : 1;
}

void matrix_widen(struct matrix *matrix, int64_t now_ms)
{
    int64_t before = widening(matrix, now_ms);
    matrix->widen = before < MATRIX_WIDEN_MAX ? before * 2 : before;
    matrix->widened_ms = now_ms;
}

int64_t matrix_suspicion_ms(const struct matrix *matrix, int64_t now_ms)
{
    return MATRIX_SUSPICION_KEEPALIVES * matrix->keepalive_ms * widening(matrix, now_ms);
}

bool matrix_hears(const struct matrix *matrix, uint16_t node, int64_t now_ms)
{
    if (node == matrix->own) {
        return true;
    }
    return node < matrix->cell_count && matrix->cells[node].neighbour &&
           now_ms - matrix->cells[node].heard_ms <= matrix_suspicion_ms(matrix, now_ms);
}

const struct roster_row *matrix_peer_row(const struct matrix *matrix, uint16_t from)
{
    assert(from < matrix->cell_count);
    return &matrix->cells[from].row;
}

bool matrix_says(const struct matrix *matrix, uint16_t from, uint16_t node, int64_t now_ms)
{
    if (from == matrix->own) {
        return matrix_hears(matrix, node, now_ms);
    }
    return matrix_hears(matrix, from, now_ms) && roster_row_names(&matrix->cells[from].row, node);
}

bool matrix_lost(const struct matrix *matrix, uint16_t node, int64_t now_ms)
{
    bool witnessed = false;
    if (!matrix_is_neighbour(matrix, node) || matrix_hears(matrix, node, now_ms)) {
        return false;
    }
    for (size_t i = 0; i < matrix->neighbour_count; i++) {
        uint16_t other = matrix->neighbours[i];
        if (other != node && matrix_says(matrix, other, node, now_ms)) {
            return false;
        }
        witnessed = witnessed || (other != node && matrix_hears(matrix, other, now_ms));
    }
    return witnessed;
}

void matrix_row(const struct matrix *matrix, struct roster_row *row, int64_t now_ms)
{
    row->count = 0;
    for (size_t i = 0; i < matrix->neighbour_count; i++) {
        if (matrix_hears(matrix, matrix->neighbours[i], now_ms)) {
            row->hears[row->count++] = matrix->neighbours[i];
        }
    }
}

bool matrix_is_slow(const struct matrix *matrix, uint16_t node)
{
    return node < matrix->cell_count && matrix->cells[node].slow;
}

bool matrix_own_slow(const struct matrix *matrix, int64_t now_ms)
{
    return now_ms < matrix->slow_until_ms;
}
