/* Makes a plan: weights become integers, columns go into groups, and all of it into one block of memory. */
#include "preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* As many bits as let the largest weight fit int16, but not more than `most`. */
static int shift_for(const double *weights, size_t count, int most)
{
    double largest = 0.0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(weights[i]));
    int shift = most;
    while (shift > 1 && ldexp(largest, shift) > INT16_MAX)
        shift--;
    return shift;
}

/* Rounds weights that sum to one so that the integers sum to exactly 1 << shift: where rounding to nearest leaves some
 * over, it is taken from, or given to, the weights that were rounded furthest the other way. `quantised` has room for an
 * even number of taps. */
static void quantise(const double *weights, int taps, int shift, int16_t *quantised)
{
    int missing = 1 << shift;
    for (int t = 0; t < taps; t++) {
        quantised[t] = (int16_t)floor(ldexp(weights[t], shift) + 0.5);
        missing -= quantised[t];
    }
    for (int step = missing > 0 ? 1 : -1; missing != 0; missing -= step) {
        int best = 0;
        double most = -INFINITY;
        for (int t = 0; t < taps; t++) {
            double left = step * (ldexp(weights[t], shift) - quantised[t]);
            if (left > most && quantised[t] + step <= INT16_MAX) {
                most = left;
                best = t;
            }
        }
        quantised[best] = (int16_t)(quantised[best] + step);
    }
    if (taps % 2)
        quantised[taps] = 0;
}

/* Of the GROUP_WORDS for a pair of source columns, columns v and v + 4 of the group have the 16 from 16 * v on: their
 * two weights, four times each. */
static void spread(const int16_t *quantised, int pairs, int member, int16_t *group)
{
    for (int p = 0; p < pairs; p++) {
        int16_t *words = group + (size_t)p * GROUP_WORDS + (member & 3) * 16 + (member >> 2) * 8;
        for (int i = 0; i < 8; i++)
            words[i] = quantised[2 * p + (i & 1)];
    }
}

static void group_columns(struct plan *plan, const struct axis_weights *columns, int shift, int32_t *starts,
                          int16_t *weights, int16_t *quantised)
{
    size_t words = (size_t)plan->column_pairs * GROUP_WORDS;
    memset(starts, 0, (size_t)plan_groups(plan) * GROUP * sizeof *starts);
    memset(weights, 0, (size_t)plan_groups(plan) * words * sizeof *weights);
    for (int g = 0; g < plan_groups(plan); g++)
        for (int member = 0; member < GROUP; member++) {
            int column = group_column(plan, g) + member;
            if (column >= plan->columns)
                continue;
            quantise(columns->weights + (size_t)column * columns->taps, columns->taps, shift, quantised);
            spread(quantised, plan->column_pairs, member, weights + g * words);
            starts[g * GROUP + member] = (columns->starts[column] - plan->first_column) * plan->channels;
        }
}

/* Whether every index stays inside the source and the output, so that no plan can make a run read or write elsewhere. */
static int is_sound(const struct plan *plan, const struct axis_weights *rows, const struct axis_weights *columns)
{
    if (plan->rows < 1 || plan->columns < 1 || plan->top < 0 || plan->left < 0 || plan->rows > plan->out_height - plan->top
        || plan->columns > plan->out_width - plan->left || plan->first_column < 0 || plan->source_columns < 1
        || plan->source_columns > plan->width - plan->first_column)
        return 0;
    for (int i = 0; i < plan->segment_count; i++) {
        const struct segment *segment = plan->segments + i;
        if (segment->first < 0 || segment->count < 1 || segment->count > MAX_SUMMED_ROWS
            || segment->first > plan->height - segment->count)
            return 0;
    }
    for (int i = 0; plan->segment_count > 0 && i < plan->rows + 1; i++)
        if (plan->spans[i] < 0 || plan->spans[i] > plan->spans[i + 1] || plan->spans[i + 1] > plan->segment_count)
            return 0;
    for (int i = 0; plan->segment_count == 0 && i < plan->rows; i++)
        if (rows->starts[i] < 0 || rows->starts[i] > plan->height - rows->taps)
            return 0;
    for (int i = 0; i < plan->columns; i++)
        if (columns->starts[i] < plan->first_column
            || columns->starts[i] - plan->first_column > plan->source_columns - columns->taps)
            return 0;
    return 1;
}

struct plan *plan_create(const struct plan *numbers, const struct axis_weights *rows, const struct axis_weights *columns,
                         int bits, int most_column_bits)
{
    struct plan plan = *numbers;
    if (!is_sound(&plan, rows, columns))
        return NULL;
    int summed = plan.segment_count > 0;
    plan.row_pairs = summed ? 1 : (rows->taps + 1) / 2;
    plan.column_pairs = (columns->taps + 1) / 2;
    size_t row_count = summed ? 0 : (size_t)plan.rows, groups = (size_t)plan_groups(&plan);
    size_t sizes[] = {
        sizeof plan,
        row_count * sizeof *plan.row_starts,
        row_count * 2 * plan.row_pairs * sizeof *plan.row_weights,
        summed ? ((size_t)plan.rows + 2) * sizeof *plan.spans : 0,
        (size_t)plan.segment_count * sizeof *plan.segments,
        groups * GROUP * sizeof *plan.column_starts,
        groups * plan.column_pairs * GROUP_WORDS * sizeof *plan.column_weights,
        (size_t)2 * plan.column_pairs * sizeof(int16_t),
    };
    enum { PARTS = sizeof sizes / sizeof sizes[0] };
    char *parts[PARTS];
    size_t total = 0;
    for (int i = 0; i < PARTS; i++)
        total += aligned(sizes[i]);
    parts[0] = malloc(total);
    if (parts[0] == NULL)
        return NULL;
    for (int i = 1; i < PARTS; i++)
        parts[i] = parts[i - 1] + aligned(sizes[i - 1]);

    if (summed) {
        plan.row_shift = 1;
        plan.spans = memcpy(parts[3], plan.spans, sizes[3]);
        plan.segments = memcpy(parts[4], plan.segments, sizes[4]);
    } else {
        int shift = shift_for(rows->weights, row_count * rows->taps, 22);
        plan.row_shift = shift - bits;
        plan.row_starts = memcpy(parts[1], rows->starts, sizes[1]);
        for (size_t i = 0; i < row_count; i++)
            quantise(rows->weights + i * rows->taps, rows->taps, shift, (int16_t *)parts[2] + i * 2 * plan.row_pairs);
        plan.row_weights = (int16_t *)parts[2];
    }
    int shift = shift_for(columns->weights, (size_t)plan.columns * columns->taps, most_column_bits);
    group_columns(&plan, columns, shift, (int32_t *)parts[5], (int16_t *)parts[6], (int16_t *)parts[7]);
    plan.column_starts = (int32_t *)parts[5];
    plan.column_weights = (int16_t *)parts[6];
    for (int c = 0; c < 4; c++)
        plan.scale[c] = (float)ldexp(plan.scale[c], -(bits + shift));
    return memcpy(parts[0], &plan, sizeof plan);
}
