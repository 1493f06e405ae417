/* fuzz_alert.c - records of thresholds and alarms, their keys, and values as people write them:
 * refused with a reason, or written back they are read as the same. The first line is the key. */
#include "alert/record.h"
#include "tests/fuzz/text.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* To three digits behind the point. */
static bool is_near(double one, double other)
{
    return one > other - 0.001 && one < other + 0.001;
}

static void try_alert(char *json)
{
    struct alert alert, again;
    struct vios_error error = {0};
    struct store_value value = {.key = (char *)"/alert/a", .json = json, .revision = 1};
    if (alert_parse(&value, &alert, &error) != VIOS_OK) {
        assert(error.code == VIOS_E_CORRUPT && error.message[0] && !alert.metric);
        return;
    }
    assert(metric_clear_fits(alert.metric, alert.limit, alert.clear));
    value.json = alert_format(&alert);
    assert(value.json && alert_parse(&value, &again, NULL) == VIOS_OK);
    assert(is_near(again.limit, alert.limit) && is_near(again.clear, alert.clear));
    assert(again.metric == alert.metric && strcmp(again.object, alert.object) == 0);
    free(value.json);
}

static void try_alarm(char *key, char *json)
{
    struct alarm alarm;
    char written[STORE_KEY_MAX];
    const struct store_value value = {.key = key, .json = json, .revision = 1};
    if (alarm_parse(&value, &alarm, NULL) != VIOS_OK) {
        assert(!alarm.name[0]);
        return;
    }
    alarm_key(&alarm, written);
    assert(strcmp(written, key) == 0);
    char *text = alarm_format(&alarm);
    free(text); /* NULL when a text in it was no UTF-8 */
}

static void try_value(const char *text)
{
    size_t count;
    const struct metric *all = metric_all(&count);
    for (size_t i = 0; i < count; i++) {
        double value, again;
        char shown[METRIC_TEXT_SIZE];
        if (metric_parse(&all[i], text, "limit", &value, NULL) == VIOS_OK) {
            assert(metric_takes(&all[i], value));
            metric_format(&all[i], value, shown);
            assert(metric_parse(&all[i], shown, "limit", &again, NULL) == VIOS_OK);
            assert(is_near(again, value));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size);
    char *newline = strchr(text, '\n');
    char *json = newline ? newline + 1 : text + strlen(text);
    if (newline) {
        *newline = '\0';
    }
    try_value(text);
    try_alert(json);
    try_alarm(text, json);
    free(text);
    return 0;
}
