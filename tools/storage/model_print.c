/* SPDX-License-Identifier: MIT */
/* A model as text, as JSON, and as the lines that the library reads. */
#include <errno.h>
#include <jansson.h>
#include <math.h>

#include "../bench/json_text.h"
#include "model.h"
#include "quantity.h"

#define FAULT_BYTES 256
#define DIGITS      6

static const char *const names[JOB_DIRECTIONS] = { "read", "write" };

static int status_of(FILE *out)
{
    return ferror(out) != 0 ? -EIO : 0;
}

/* Text */

static void print_direction(const struct model_direction *direction, const char *name, FILE *out)
{
    char size[QUANTITY_BYTES];

    fprintf(out, "\n%ss: a request takes %.2f us of the device, and each byte %.1f ps more", name,
            direction->request_ns / 1e3, direction->byte_ps);
    if (direction->byte_ps > 0) {
        fprintf(out, " (%.0f MB/s)", 1e6 / direction->byte_ps);
    }
    fprintf(
        out,
        "\nsaturated by %.0f us of the device's time in flight; of %s by %u requests\n\n"
        "  bytes  depth    per second       MB/s    us each    model is off    repeats differ\n",
        direction->capacity_ns / 1e3, quantity_bytes_text(direction->points[0].bytes, size),
        direction->points[0].depth);
    for (size_t i = 0; i < MODEL_SIZES; i++) {
        const struct model_point *point = &direction->points[i];
        const double per_second = 1e9 / point->ns;

        fprintf(out, "%7s %6u %13.0f %10.0f %10.2f %+13.1f %% %15.1f %%\n",
                quantity_bytes_text(point->bytes, size), point->depth, per_second,
                per_second * (double)point->bytes / 1e6, point->ns / 1e3, point->off * 100,
                point->spread * 100);
    }
}

int model_print_text(const struct model *model, FILE *out)
{
    char fault[FAULT_BYTES];

    fprintf(out, "device %s %s, by random requests past the page cache\n", model->device,
            model->name);
    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        if (model->measured[d]) {
            print_direction(&model->directions[d], names[d], out);
        }
    }
    for (unsigned i = 0; model_fault(model, i, fault, sizeof(fault)); i++) {
        fprintf(out, "%sBAD: %s\n", i == 0 ? "\n" : "", fault);
    }
    return status_of(out);
}

/* JSON. What has no memory is NULL, and so is all around it. */

static json_t *points_json(const struct model_direction *direction)
{
    json_t *points = json_array();

    for (size_t i = 0; i < MODEL_SIZES; i++) {
        const struct model_point *point = &direction->points[i];

        (void)json_array_append_new(points, json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}", "bytes",
                                                      (int)point->bytes, "depth", (int)point->depth,
                                                      "ns", point->ns, "model_off", point->off,
                                                      "spread", point->spread, "cpu", point->cpu));
    }
    return points;
}

static json_t *direction_json(const struct model *model, enum job_direction d)
{
    const struct model_direction *direction = &model->directions[d];

    if (!model->measured[d]) {
        return json_null();
    }
    return json_pack("{s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:o}", "request_ns",
                     direction->request_ns, "byte_ps", direction->byte_ps, "saturation_depth",
                     (int)direction->points[0].depth, "capacity_ns", direction->capacity_ns,
                     "model_off", direction->off, "spread", direction->spread, "cpu",
                     direction->cpu, "points", points_json(direction));
}

static json_t *faults_json(const struct model *model)
{
    json_t *faults = json_array();
    char fault[FAULT_BYTES];

    for (unsigned i = 0; model_fault(model, i, fault, sizeof(fault)); i++) {
        (void)json_array_append_new(faults, json_text(fault));
    }
    return faults;
}

int model_print_json(const struct model *model, FILE *out)
{
    json_t *root = json_pack("{s:s, s:s, s:o, s:o, s:o}", "device", model->device, "name",
                             model->name, "read", direction_json(model, JOB_READ), "write",
                             direction_json(model, JOB_WRITE), "faults", faults_json(model));
    int r = root == NULL ? -ENOMEM : 0;

    if (r == 0 && json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)) < 0) {
        r = -EIO;
    }
    json_decref(root);
    fputs(r == 0 ? "\n" : "", out);
    return r < 0 ? r : status_of(out);
}

/* Configuration */

int model_print_config(const struct model *model, FILE *out)
{
    char fault[FAULT_BYTES];
    double capacity_ns = 0;

    fprintf(out, "# %s, by rt-storage calibrate. ns and ps are time of the saturated device.\n",
            model->name[0] != '\0' ? model->name : "no block device");
    for (unsigned i = 0; model_fault(model, i, fault, sizeof(fault)); i++) {
        fprintf(out, "# BAD: %s\n", fault);
    }
    fprintf(out, "[device %s]\n", model->device);
    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        const struct model_direction *direction = &model->directions[d];

        if (model->measured[d]) {
            fprintf(out, "%s_request_ns = %.0f\n", names[d], direction->request_ns);
            fprintf(out, "%s_byte_ps = %.0f\n", names[d], direction->byte_ps);
            fprintf(out, "%s_saturation_depth = %u\n", names[d], direction->points[0].depth);
            capacity_ns = fmax(capacity_ns, direction->capacity_ns);
        }
    }
    fprintf(out, "capacity_ns = %.0f\n", capacity_ns);
    return status_of(out);
}
