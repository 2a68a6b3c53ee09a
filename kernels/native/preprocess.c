/* Walks over the output rows; the work on pixels is in the kernels of one instruction set. */
#include "preprocess.h"

#include <string.h>

static size_t rounded(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static size_t source_bytes(const struct plan *plan)
{
    return (size_t)plan->source_columns * plan->channels;
}

size_t plan_scratch_bytes(const struct plan *plan)
{
    size_t blended = rounded((source_bytes(plan) + SPARE_WORDS) * sizeof(int16_t));
    size_t carry = rounded((source_bytes(plan) + SPARE_WORDS) * sizeof(float));
    size_t pointers = rounded((size_t)plan->row_pairs * 2 * sizeof(uint8_t *));
    return blended + (carry > pointers ? carry : pointers) + 64;
}

static void fill_padding(const struct plan *plan, float *out)
{
    size_t pixels = (size_t)plan->out_height * plan->out_width;
    if (plan->rows == plan->out_height && plan->columns == plan->out_width)
        return;
    for (int c = 0; c < plan->out_channels; c++) {
        size_t first = plan->planar ? c * pixels : (size_t)c;
        size_t step = plan->planar ? 1 : (size_t)plan->out_channels;
        for (size_t i = 0; i < pixels; i++)
            out[first + i * step] = plan->offset[c];
    }
}

static float *row_of(const struct plan *plan, float *out, int row)
{
    size_t pixel = (size_t)(plan->top + row) * plan->out_width + plan->left;
    return out + (plan->planar ? pixel : pixel * plan->out_channels);
}

static void blend_all(const struct plan *plan, const uint8_t *origin, ptrdiff_t stride, float *out, int16_t *blended,
                      const uint8_t **rows)
{
    int taps = 2 * plan->row_pairs;
    ptrdiff_t bytes = (ptrdiff_t)source_bytes(plan);
    for (int i = 0; i < plan->rows; i++) {
        for (int t = 0; t < taps; t++) {
            int row = plan->row_starts[i] + t;
            rows[t] = origin + (row < plan->height ? row : plan->height - 1) * stride;
        }
        plan->kernels->blend_rows(rows, plan->row_weights + (size_t)i * taps, plan->row_pairs, plan->row_shift, bytes,
                                  blended);
        plan->kernels->blend_columns(plan, blended, row_of(plan, out, i));
    }
}

static void sum_all(const struct plan *plan, const uint8_t *origin, ptrdiff_t stride, float *out, int16_t *blended,
                    float *carry)
{
    ptrdiff_t bytes = (ptrdiff_t)source_bytes(plan);
    const int32_t *spans = plan->spans;
    memset(carry, 0, (size_t)bytes * sizeof(float));
    for (int i = 0; i <= plan->rows; i++) {
        int ahead = i < plan->rows ? spans[i + 2] - spans[i + 1] : 0;
        plan->kernels->sum_rows(origin, stride, plan->segments + spans[i], spans[i + 1] - spans[i], ahead, bytes, carry,
                                blended);
        if (i > 0)
            plan->kernels->blend_columns(plan, blended, row_of(plan, out, i - 1));
    }
}

void preprocess(const struct plan *plan, const uint8_t *pixels, ptrdiff_t stride, float *out, void *scratch)
{
    uintptr_t aligned = rounded((uintptr_t)scratch);
    int16_t *blended = (int16_t *)aligned;
    void *rest = (void *)(aligned + rounded((source_bytes(plan) + SPARE_WORDS) * sizeof(int16_t)));
    const uint8_t *origin = pixels + (ptrdiff_t)plan->first_column * plan->channels;

    memset(blended + source_bytes(plan), 0, SPARE_WORDS * sizeof(int16_t));
    fill_padding(plan, out);
    if (plan->segment_count > 0)
        sum_all(plan, origin, stride, out, blended, rest);
    else
        blend_all(plan, origin, stride, out, blended, rest);
}
