/* SPDX-License-Identifier: MIT */
/* Features: names to bits and back. */
#include "os/features.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bits;
} features[] = {
    { "guard_install", RTI_FEATURE_GUARD_INSTALL },
    { "no_sqarray", RTI_FEATURE_NO_SQARRAY },
    { "no_iowait", RTI_FEATURE_NO_IOWAIT },
    { "registered_ring", RTI_FEATURE_REGISTERED_RING },
    { "defer_taskrun", RTI_FEATURE_DEFER_TASKRUN },
    { "iowq", RTI_FEATURE_IOWQ },
    { "fixed_buffers", RTI_FEATURE_FIXED_BUFFERS },
    { "registered_files", RTI_FEATURE_REGISTERED_FILES },
    { "iopoll", RTI_FEATURE_IOPOLL },
    { "all", RTI_FEATURES_ALL }, /* last: not shown by rti_features_format() */
};

#define FEATURE_COUNT (sizeof(features) / sizeof(features[0]))

static uint32_t bits_of(const char *name, size_t length)
{
    for (size_t i = 0; i < FEATURE_COUNT; i++) {
        if (strlen(features[i].name) == length && memcmp(features[i].name, name, length) == 0) {
            return features[i].bits;
        }
    }
    return 0;
}

int rti_features_parse(const char *list, uint32_t *set, const char **wrong)
{
    static const char separators[] = ", ";

    while (list != NULL && *list != '\0') {
        const size_t length = strcspn(list, separators);

        if (length > 0) {
            const uint32_t bits = bits_of(list, length);

            if (bits == 0) {
                *wrong = list;
                return -EINVAL;
            }
            *set |= bits;
            list += length;
        }
        list += strspn(list, separators);
    }
    return 0;
}

void rti_features_format(uint32_t set, char *text, size_t bytes)
{
    size_t used = 0;

    snprintf(text, bytes, "none");
    for (size_t i = 0; i + 1 < FEATURE_COUNT && used < bytes; i++) {
        if ((set & features[i].bits) != 0) {
            const int n = snprintf(text + used, bytes - used, "%s%s", used > 0 ? " " : "",
                                   features[i].name);

            used += (size_t)n;
        }
    }
}
