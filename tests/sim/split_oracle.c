/* split_oracle.c - see split_oracle.h. */
#include "tests/sim/split_oracle.h"

#include <string.h>

/* Which of them are joined, by any chain of links that work both ways. */
static void close_links(const struct split_facts *facts,
                        bool joined[SPLIT_ORACLE_MAX][SPLIT_ORACLE_MAX])
{
    for (size_t i = 0; i < facts->count; i++) {
        for (size_t k = 0; k < facts->count; k++) {
            joined[i][k] = i == k || (facts->hears[i][k] && facts->hears[k][i]);
        }
    }
    for (size_t via = 0; via < facts->count; via++) {
        for (size_t i = 0; i < facts->count; i++) {
            for (size_t k = 0; k < facts->count; k++) {
                joined[i][k] = joined[i][k] || (joined[i][via] && joined[via][k]);
            }
        }
    }
}

/* The winner is the side of the node that is returned. All can commit: their records are in the
 * listing. */
static size_t judge_winner(const struct split_facts *facts,
                           bool joined[SPLIT_ORACLE_MAX][SPLIT_ORACLE_MAX], const char **rule)
{
    for (size_t i = 0; i < facts->count; i++) {
        size_t votes = 0;
        for (size_t k = 0; k < facts->count; k++) {
            votes += joined[i][k];
        }
        if (votes > facts->count - votes) {
            *rule = "majority";
            return i;
        }
    }
    *rule = facts->primary < facts->count ? "primary" : "lowest-name";
    return facts->primary < facts->count ? facts->primary : 0;
}

static bool lists(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *item = json_array_get(names, i);
        const char *text = json_is_object(item) ? json_string_value(json_object_get(item, "node"))
                                                : json_string_value(item);
        if (text && strcmp(text, name) == 0) {
            return true;
        }
    }
    return false;
}

const char *split_oracle_judge(const struct split_facts *facts, const json_t *record)
{
    bool joined[SPLIT_ORACLE_MAX][SPLIT_ORACLE_MAX];
    const char *rule;
    close_links(facts, joined);
    size_t winner = judge_winner(facts, joined, &rule);
    const json_t *sides = json_object_get(record, "sides");
    const json_t *won =
        json_array_get(sides, (size_t)json_integer_value(json_object_get(record, "winner")));
    size_t losers = 0, members = 0;
    for (size_t i = 0; i < facts->count; i++) {
        bool wins = joined[winner][i];
        if (lists(won, facts->names[i]) != wins) {
            return "another side wins";
        }
        if (lists(json_object_get(record, "losers"), facts->names[i]) == wins) {
            return "other nodes lose";
        }
        losers += !wins;
    }
    for (size_t i = 0; i < json_array_size(sides); i++) {
        members += json_array_size(json_array_get(sides, i));
    }
    if (losers != json_array_size(json_object_get(record, "losers")) || members != facts->count) {
        return "strangers take part";
    }
    const char *text = json_string_value(json_object_get(record, "rule"));
    return text && strcmp(text, rule) == 0 ? NULL : "the rule is another";
}
