/* The kernels in plain C: what the vector versions must agree with, and what runs where there are none. */
#include "preprocess.h"

#include <math.h>

static int16_t saturated(int32_t value)
{
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

static void blend_rows(const uint8_t *const *rows, const int16_t *weights, int pairs, int shift, ptrdiff_t bytes,
                       int16_t *blended)
{
    enum { BLOCK = 64 };
    for (ptrdiff_t at = 0; at < bytes; at += BLOCK) {
        int32_t sums[BLOCK];
        int width = bytes - at < BLOCK ? (int)(bytes - at) : BLOCK;
        for (int i = 0; i < width; i++)
            sums[i] = 1 << (shift - 1);
        for (int t = 0; t < 2 * pairs; t++) {
            const uint8_t *row = rows[t] + at;
            for (int i = 0; i < width; i++)
                sums[i] += row[i] * weights[t];
        }
        for (int i = 0; i < width; i++)
            blended[at + i] = saturated(sums[i] >> shift);
    }
}

static void sum_rows(const uint8_t *origin, ptrdiff_t stride, const struct segment *segments, int count, int ahead,
                     ptrdiff_t bytes, float *carry, int16_t *blended)
{
    enum { BLOCK = 64 };
    (void)ahead;
    for (ptrdiff_t at = 0; at < bytes; at += BLOCK) {
        float lower[BLOCK] = {0};
        int width = bytes - at < BLOCK ? (int)(bytes - at) : BLOCK;
        float *upper = carry + at;
        for (const struct segment *segment = segments; segment < segments + count; segment++) {
            uint16_t plain[BLOCK] = {0}, ramp[BLOCK] = {0};
            const uint8_t *row = origin + segment->first * stride + at;
            for (int k = 0; k < segment->count; k++, row += stride)
                for (int i = 0; i < width; i++) {
                    plain[i] = (uint16_t)(plain[i] + row[i]);
                    ramp[i] = (uint16_t)(ramp[i] + k * row[i]);
                }
            for (int i = 0; i < width; i++) {
                upper[i] += segment->upper * plain[i] + segment->upper_slope * ramp[i];
                lower[i] += segment->lower * plain[i] + segment->lower_slope * ramp[i];
            }
        }
        for (int i = 0; i < width; i++) {
            blended[at + i] = saturated((int32_t)lrintf(upper[i]));
            upper[i] = lower[i];
        }
    }
}

static void blend_columns(const struct plan *plan, const int16_t *blended, float *out)
{
    size_t plane = plan->planar ? (size_t)plan->out_height * plan->out_width : 1;
    size_t pixel = plan->planar ? 1 : (size_t)plan->out_channels;
    for (int j = 0; j < plan->columns; j++) {
        int last = plan->columns - GROUP;
        int group = j / GROUP, column = j % GROUP;
        if (last > 0 && group * GROUP > last)
            column = j - last;
        const int16_t *source = blended + plan->column_starts[group * GROUP + column];
        const int16_t *weights = plan->column_weights + (size_t)group * plan->column_pairs * GROUP_WORDS
                                 + (column & 3) * 16 + (column >> 2) * 8;
        for (int c = 0; c < plan->out_channels; c++) {
            const int16_t *left = source + (plan->channels == 1 ? 0 : c);
            float sum = 0.0f;
            for (int p = 0; p < plan->column_pairs; p++)
                sum += (float)(left[2 * p * plan->channels] * weights[p * GROUP_WORDS]
                               + left[(2 * p + 1) * plan->channels] * weights[p * GROUP_WORDS + 1]);
            out[c * plane + j * pixel] = sum * plan->scale[c] + plan->offset[c];
        }
    }
}

const struct kernels portable_kernels = {"portable", blend_rows, sum_rows, blend_columns};
