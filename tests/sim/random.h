/* random.h - the simulator's only source of chance: the same seed, the same run. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* splitmix64 */
static inline uint64_t random_next(struct random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A stream of its own, so that what one part draws does not move what another does. */
static inline struct random random_split(uint64_t seed, uint64_t stream)
{
    struct random random = {seed * UINT64_C(0x2545f4914f6cdd1d) + stream};
    random_next(&random);
    return random;
}

/* 0 .. limit - 1; 0 when the limit is not positive. */
static inline int64_t random_below(struct random *random, int64_t limit)
{
    return limit > 0 ? (int64_t)(random_next(random) % (uint64_t)limit) : 0;
}

/* low .. high */
static inline int64_t random_between(struct random *random, int64_t low, int64_t high)
{
    return low + random_below(random, high - low + 1);
}

/* True in so many of a million cases. */
static inline bool random_chance(struct random *random, int64_t millionths)
{
    return millionths > 0 && random_below(random, 1000000) < millionths;
}

/* As often short as long: the magnitude is drawn first. */
static inline int64_t random_magnitude(struct random *random, int64_t low, int64_t high)
{
    int doublings = 0;
    while (low << (doublings + 1) < high) {
        doublings++;
    }
    int64_t limit = low << random_below(random, doublings + 1);
    int64_t top = limit * 2 < high ? limit * 2 : high;
    return random_between(random, limit, top > limit ? top : limit);
}

#endif
