/* fuzz_caller.c - what a caller says, line by line, before anybody knows who it is: refused with a
 * reason, or all of it is of its form; and the record of a caller, as the VIOS DB has it. */
#include "event/caller_words.h"
#include "tests/fuzz/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_line(const char *line, size_t size)
{
    struct caller_said said;
    struct vios_error error = {0};
    int status = caller_said_parse(line, size, &said, &error);
    if (status != VIOS_OK) {
        assert(status == VIOS_E_INVALID && error.code == status && error.message[0]);
        assert(!said.id[0] && !said.token[0]);
        char *answer = caller_words_error(&error);
        assert(answer && answer[strlen(answer) - 1] == '\n' &&
               strcspn(answer, "\n") == strlen(answer) - 1);
        free(answer);
        return;
    }
    if (said.kind == CALLER_SAYS_HELLO) {
        assert(parse_name(said.id, "caller", NULL) == VIOS_OK);
        assert(said.token[0] && strlen(said.token) <= CALLER_SECRET_MAX);
        assert(said.cursor.restores >= 0 && said.cursor.sequence >= 0);
        assert(said.has_cursor || said.cursor.sequence == 0);
        assert(!caller_token_matches(NULL, said.token));
    } else {
        assert(said.seen >= 0 && !said.id[0] && !said.token[0]);
    }
    caller_said_forget(&said);
}

/* One that is taken is written again as the same. */
static void look_at_record(char *text)
{
    struct caller caller, again;
    struct vios_error error = {0};
    struct store_value value = {.key = (char *)"/caller/a", .json = text, .revision = 1};
    int status = caller_parse(&value, &caller, &error);
    if (status != VIOS_OK) {
        assert(status == VIOS_E_CORRUPT && error.message[0] && !caller.id[0]);
        return;
    }
    value.json = caller_format(&caller);
    assert(value.json && caller_parse(&value, &again, NULL) == VIOS_OK);
    char *second = caller_format(&again);
    assert(second && strcmp(second, value.json) == 0);
    event_filter_fits(&caller.filter, "node", "n1");
    free(second);
    free(value.json);
    caller_clear(&caller);
    caller_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    char *text = text_of(data, size);
    look_at_record(text);
    free(text);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        look_at_line(at, (size_t)(stop - at));
        at = stop + 1;
    }
    return 0;
}
