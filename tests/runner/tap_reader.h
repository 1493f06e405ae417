/*
 * tap_reader.h - what a test said in TAP (Test Anything Protocol), counted.
 */
#ifndef TESTS_RUNNER_TAP_READER_H
#define TESTS_RUNNER_TAP_READER_H

#include <stdbool.h>
#include <stdio.h>

struct tap_result {
    int passed;
    int failed;
    int skipped;        /* `ok N # SKIP why`, or the whole program by `1..0 # SKIP why` */
    int planned;        /* -1: no plan */
    char fault[200];    /* what is wrong with the protocol itself; "" when nothing */
    char skip_why[200]; /* of the whole program */
};

/* Reads to the end of `stream`. Lines that are none of TAP's are passed over. */
void tap_read(FILE *stream, struct tap_result *result);

#endif
