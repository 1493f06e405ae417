/*
 * main.c - the simulator's command line:
 *
 *     sim --seeds FIRST COUNT    runs so many seeds; stops at the first violation, and shrinks it
 *     sim --seed S [--trace] [--off FEATURE]... [--drop FAULT]...    runs one again
 *     sim --scale                bytes and CPU of a node, by size of cluster; a line of JSON each
 *     sim                        as a test: TAP, SIM_SEEDS (200) seeds and the cluster of 500
 *
 * Exit status 1 when an invariant was broken.
 */
#include "tests/sim/run.h"
#include "tests/sim/scale.h"
#include "tests/tap.h"

#include <time.h>

#define TEST_SEEDS 200

struct options {
    uint64_t first;
    long count;
    int trace;
    bool scale, test, shrink;
    struct swarm_cut cut;
};

static void report(uint64_t seed, struct swarm_cut *cut, const char *failure, bool shrink)
{
    struct run_result result;
    struct swarm swarm;
    printf("# seed %llu: %s\n", (unsigned long long)seed, failure);
    if (shrink) {
        run_shrink(seed, cut, failure);
    }
    swarm_draw(&swarm, seed, cut);
    swarm_print(stdout, &swarm, cut);
    run_seed(seed, cut, 1, &result);
    printf("# seed %llu: %s\n", (unsigned long long)seed, result.failure);
    printf("# again: sim --seed %llu --trace, with what was left out\n", (unsigned long long)seed);
    fflush(stdout);
}

static void add_counts(struct oracle_counts *sum, const struct oracle_counts *counts)
{
    long *to = (long *)sum;
    const long *from = (const long *)counts;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) {
        to[i] += from[i];
    }
}

static void print_counts(long seeds, const struct oracle_counts *counts, double seconds)
{
    printf("# %ld seeds, %.1f s of CPU: elections %ld, fences %ld, freed %ld, rejoined %ld, "
           "splits %ld, takeovers %ld, hibernations %ld, restores %ld, restarts %ld\n",
           seeds, seconds, counts->elections, counts->fences, counts->frees, counts->rejoins,
           counts->splits, counts->takeovers, counts->hibernations, counts->restores,
           counts->restarts);
}

/* How many of the seeds broke an invariant: 0 or 1, for it stops there. */
static int run_many(uint64_t first, long count, bool shrink)
{
    struct oracle_counts sum = {0};
    clock_t began = clock();
    for (long i = 0; i < count; i++) {
        struct run_result result;
        run_seed(first + (uint64_t)i, NULL, 0, &result);
        add_counts(&sum, &result.counts);
        if (result.failed) {
            struct swarm_cut cut = {0};
            report(first + (uint64_t)i, &cut, result.failure, shrink);
            printf("found after %ld seeds\n", i + 1);
            return 1;
        }
    }
    print_counts(count, &sum, (double)(clock() - began) / CLOCKS_PER_SEC);
    return 0;
}

static int run_one(struct options *options)
{
    struct run_result result;
    run_seed(options->first, &options->cut, options->trace, &result);
    if (result.failed) {
        struct swarm swarm;
        swarm_draw(&swarm, options->first, &options->cut);
        swarm_print(stdout, &swarm, &options->cut);
        printf("seed %llu: %s\n", (unsigned long long)options->first, result.failure);
    } else {
        print_counts(1, &result.counts, (double)result.lasted_us / 1e6);
    }
    return result.failed;
}

static bool parse(struct options *options, int count, char **arguments)
{
    options->test = count == 1;
    options->shrink = true;
    for (int i = 1; i < count; i++) {
        const char *word = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(word, "--trace") == 0) {
            options->trace = 2;
        } else if (strcmp(word, "--scale") == 0) {
            options->scale = true;
        } else if (strcmp(word, "--no-shrink") == 0) {
            options->shrink = false;
        } else if (strcmp(word, "--seed") == 0) {
            options->first = strtoull(value, NULL, 10);
            i++;
        } else if (strcmp(word, "--seeds") == 0 && i + 2 < count) {
            options->first = strtoull(value, NULL, 10);
            options->count = strtol(arguments[i + 2], NULL, 10);
            i += 2;
        } else if (strcmp(word, "--off") == 0 && swarm_feature_find(value) >= 0) {
            options->cut.off[swarm_feature_find(value)] = true;
            i++;
        } else if (strcmp(word, "--drop") == 0 && strtoul(value, NULL, 10) < SWARM_FAULTS_MAX) {
            options->cut.dropped[strtoul(value, NULL, 10)] = true;
            i++;
        } else {
            return false;
        }
    }
    return true;
}

static void no_seed_breaks_an_invariant(void)
{
    const char *seeds = getenv("SIM_SEEDS");
    is_int(run_many(1, seeds ? strtol(seeds, NULL, 10) : TEST_SEEDS, true), 0);
}

static void five_hundred_nodes_elect_and_elect_again(void)
{
    char why[200] = "";
    ok(scale_elects_again(500, why), "%s", why);
}

int main(int count, char **arguments)
{
    static struct options options;
    if (!parse(&options, count, arguments)) {
        fprintf(stderr, "sim: see the head of tests/sim/main.c\n");
        return 2;
    }
    if (options.test) {
        RUN(no_seed_breaks_an_invariant);
        RUN(five_hundred_nodes_elect_and_elect_again);
        return tap_done();
    }
    if (options.scale) {
        return scale_print();
    }
    return options.count > 0 ? run_many(options.first, options.count, options.shrink)
                             : run_one(&options);
}
