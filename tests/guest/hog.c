/*
 * hog.c - a program for test guests that uses more memory than the guest has and proves that
 * no page of it was lost, changed or mixed up on its way to the paging device and back.
 *
 *     hog MIB PASSES [PAGES_PER_SECOND [SEED]]
 *
 * Every page verifies itself: its first words are its number, the seed and the pass that wrote
 * it, and the rest is the output of a generator started from these three. So a page of another
 * place, of an earlier pass, or of another program is told from the right one. A pass visits all
 * pages in order, verifies what the pass before wrote, and writes its own. PASSES 0 goes on until
 * SIGTERM, which ends the last pass where it is; then, too, all pages are verified once more.
 * PAGES_PER_SECOND 0 is as fast as it can; otherwise it sleeps between batches.
 *
 * Prints lines that start with "hog "; exits 0 when every page was right, 1 at a wrong one, 2 for
 * wrong arguments or no memory. Statically linked: the guest has no C library.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE_SIZE 4096u
#define PAGE_WORDS (PAGE_SIZE / sizeof(uint64_t))
#define BATCH_PAGES 64u      /* between two looks at the clock */
#define BAD_LINES_MAX 8u     /* wrong pages reported one by one */
#define MIB_MAX (64u * 1024) /* 64 GiB */
#define NS_PER_SECOND INT64_C(1000000000)

static volatile sig_atomic_t stopped;

struct hog {
    uint64_t *memory;
    uint64_t pages;
    uint64_t passes;
    uint64_t pages_per_second;
    uint64_t seed;
    uint64_t touched, bad;
    int64_t started_ns, told_ns;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* xorshift64*; `state` is never 0. */
static uint64_t next_word(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

static uint64_t start_state(const struct hog *hog, uint64_t page, uint64_t pass)
{
    uint64_t state = hog->seed ^ (page * UINT64_C(0x9E3779B97F4A7C15)) ^ (pass << 48);
    return state ? state : 1;
}

static void write_page(const struct hog *hog, uint64_t page, uint64_t pass)
{
    uint64_t *words = hog->memory + page * PAGE_WORDS;
    uint64_t state = start_state(hog, page, pass);
    words[0] = page;
    words[1] = hog->seed;
    words[2] = pass;
    for (size_t i = 3; i < PAGE_WORDS; i++) {
        words[i] = next_word(&state);
    }
}

/* False, after telling what it found, when the page is not what `pass` wrote there. */
static bool verify_page(struct hog *hog, uint64_t page, uint64_t pass)
{
    const uint64_t *words = hog->memory + page * PAGE_WORDS;
    uint64_t state = start_state(hog, page, pass);
    size_t i = 3;
    if (words[0] == page && words[1] == hog->seed && words[2] == pass) {
        while (i < PAGE_WORDS && words[i] == next_word(&state)) {
            i++;
        }
    }
    if (i == PAGE_WORDS) {
        return true;
    }
    if (hog->bad++ < BAD_LINES_MAX) {
        printf("hog BAD page=%" PRIu64 " pass=%" PRIu64 " has page=%" PRIu64 " seed=%" PRIu64
               " pass=%" PRIu64 " word=%zu\n",
               page, pass, words[0], words[1], words[2], i);
    }
    return false;
}

static void tell(struct hog *hog, uint64_t pass, const char *what)
{
    int64_t now = now_ns();
    double seconds = (double)(now - hog->started_ns) / (double)NS_PER_SECOND;
    printf("hog %s pass=%" PRIu64 " pages=%" PRIu64 " bad=%" PRIu64 " seconds=%.1f\n", what, pass,
           hog->touched, hog->bad, seconds);
    hog->told_ns = now;
}

/* Sleeps until the pace asked for allows the next batch; says a line each second. */
static void keep_pace(struct hog *hog, uint64_t pass)
{
    if (now_ns() - hog->told_ns >= NS_PER_SECOND) {
        tell(hog, pass, "runs");
    }
    if (hog->pages_per_second == 0) {
        return;
    }
    double due = (double)hog->touched / (double)hog->pages_per_second;
    int64_t wait_ns = hog->started_ns + (int64_t)(due * (double)NS_PER_SECOND) - now_ns();
    if (wait_ns > 0) {
        struct timespec pause = {wait_ns / NS_PER_SECOND, wait_ns % NS_PER_SECOND};
        nanosleep(&pause, NULL);
    }
}

static void stop(int number)
{
    stopped = number;
}

/* How many pages it did: all, unless it was stopped. */
static uint64_t run_pass(struct hog *hog, uint64_t pass)
{
    uint64_t page = 0;
    for (; page < hog->pages && !stopped; page++) {
        if (pass > 1) {
            verify_page(hog, page, pass - 1);
        }
        write_page(hog, page, pass);
        hog->touched++;
        if (page % BATCH_PAGES == 0) {
            keep_pace(hog, pass);
        }
    }
    return page;
}

/* What the last pass wrote, and behind its end what the one before did. */
static void verify_all(struct hog *hog, uint64_t pass, uint64_t end)
{
    for (uint64_t page = 0; page < hog->pages; page++) {
        if (page >= end && pass == 1) {
            break; /* nobody wrote those */
        }
        verify_page(hog, page, page < end ? pass : pass - 1);
        hog->touched++;
        if (page % BATCH_PAGES == 0) {
            keep_pace(hog, pass);
        }
    }
}

static bool read_number(const char *text, uint64_t maximum, uint64_t *value)
{
    char *end;
    *value = strtoull(text, &end, 10);
    return end != text && *end == '\0' && *value <= maximum;
}

static bool read_arguments(struct hog *hog, int argc, char **argv)
{
    uint64_t mib;
    hog->seed = 1;
    if (argc < 3 || argc > 5 || !read_number(argv[1], MIB_MAX, &mib) || mib == 0 ||
        !read_number(argv[2], 1000000, &hog->passes) ||
        (argc > 3 && !read_number(argv[3], 100000000, &hog->pages_per_second)) ||
        (argc > 4 && !read_number(argv[4], UINT64_MAX, &hog->seed))) {
        fprintf(stderr, "hog: usage: hog MIB PASSES [PAGES_PER_SECOND [SEED]]\n");
        return false;
    }
    hog->pages = mib * (1024 * 1024 / PAGE_SIZE);
    return true;
}

int main(int argc, char **argv)
{
    struct hog hog = {0};
    uint64_t pass = 0, end = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!read_arguments(&hog, argc, argv)) {
        return 2;
    }
    hog.memory = mmap(NULL, hog.pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (hog.memory == MAP_FAILED) {
        perror("hog: mmap");
        return 2;
    }
    hog.started_ns = hog.told_ns = now_ns();
    printf("hog starts pages=%" PRIu64 " passes=%" PRIu64 " seed=%" PRIu64 "\n", hog.pages,
           hog.passes, hog.seed);
    signal(SIGTERM, stop);
    while ((hog.passes == 0 || pass < hog.passes) && hog.bad == 0 && !stopped) {
        end = run_pass(&hog, ++pass);
        tell(&hog, pass, end == hog.pages ? "passed" : "stops");
    }
    verify_all(&hog, pass, end);
    tell(&hog, pass, hog.bad == 0 ? "done" : "FAILED");
    return hog.bad == 0 ? 0 : 1;
}
