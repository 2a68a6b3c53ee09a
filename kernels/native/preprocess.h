/* Resize, crop and normalise in fixed point, one output row at a time.
 *
 * An output row is made in two steps. First the source rows below it are blended into one row of int16, the channels
 * still interleaved; then the columns of that row are blended, normalised and stored as float32. Weights are int16.
 * Both steps come in one version per instruction set; `struct kernels` is all that a new one has to fill in.
 */
#ifndef PREPROCESS_H
#define PREPROCESS_H

#include <stddef.h>
#include <stdint.h>

enum {
    GROUP = 8,              /* output columns that are blended together */
    GROUP_WORDS = 64,       /* weights of a group for two source columns: 4 vectors of 16 */
    SPARE_WORDS = 64,       /* int16 behind a blended row that may be read or written: vectors are whole */
    PAIRS_IN_INT32 = 5,     /* up to here the weighted sum over columns fits 32 bits; beyond, it is a float */
    MAX_SUMMED_ROWS = 23,   /* 255 * (0 + 1 + ... + 22) still fits 16 bits */
};

/* Source rows whose weights change linearly from row to row, as a triangle filter's do between two output centres.
 * Their weighted sums for the output rows above and below follow from two plain sums: of p[k] and of k * p[k]. */
struct segment {
    int32_t first, count;         /* source rows, count <= MAX_SUMMED_ROWS */
    float upper, upper_slope;     /* weight of row `first` in the upper output row, and its change per row */
    float lower, lower_slope;     /* the same for the output row below */
};

struct plan;

struct kernels {
    const char *name;

    /* blended[i] = (sum of rows[t][i] * weights[t] + half) >> shift, for 2 * pairs rows. */
    void (*blend_rows)(const uint8_t *const *rows, const int16_t *weights, int pairs, int shift, ptrdiff_t bytes,
                       int16_t *blended);

    /* The rows between two output centres: completes the upper output row, of which `carry` holds what came before,
     * into `blended`, and leaves in `carry` what they add to the lower one. segments[0..count) are these rows,
     * segments[count..count + ahead) the ones to prefetch. carry and blended have room for `bytes` rounded up to 32. */
    void (*sum_rows)(const uint8_t *origin, ptrdiff_t stride, const struct segment *segments, int count, int ahead,
                     ptrdiff_t bytes, float *carry, int16_t *blended);

    /* Blends the columns of one row, normalises them and stores them; `out` is the output's first pixel that shows the
     * image in this row. */
    void (*blend_columns)(const struct plan *plan, const int16_t *blended, float *out);
};

struct plan {
    const struct kernels *kernels;
    int32_t height, width, channels;                       /* of the source */
    int32_t out_channels, out_height, out_width, planar;   /* of the output; planar: CHW, else HWC */
    int32_t top, left, rows, columns;                      /* the part of the output that shows the image */
    int32_t first_column, source_columns;                  /* source columns that are read */
    int32_t row_pairs, row_shift, column_pairs;            /* source rows and columns are blended in pairs */
    int32_t segment_count;                                 /* 0: rows are blended, else summed */
    const int32_t *row_starts;                             /* [rows], first source row of each */
    const int16_t *row_weights;                            /* [rows][2 * row_pairs] */
    const int32_t *spans;                                  /* [rows + 2], first segment between each two centres */
    const struct segment *segments;                        /* [segment_count] */
    const int32_t *column_starts;                          /* [groups][GROUP], in int16 of the blended row */
    const int16_t *column_weights;                         /* [groups][column_pairs][GROUP_WORDS] */
    float scale[4], offset[4];                             /* from blended units to normalised ones */
};

extern const struct kernels portable_kernels;
const struct kernels *avx2_kernels(void);                  /* NULL where this machine or build has no AVX2 */

/* One axis: the first source pixel of each output pixel and its weights, [output pixels][taps]. */
struct axis_weights {
    const int32_t *starts;
    const double *weights;
    int taps;
};

/* `numbers` has everything but what follows from the weights; scale and offset are for pixel values. A blended row has
 * `bits` bits behind the point. Returns one block to free(), or NULL: no memory, or a plan that reaches outside. */
struct plan *plan_create(const struct plan *numbers, const struct axis_weights *rows, const struct axis_weights *columns,
                         int bits, int most_column_bits);

size_t plan_scratch_bytes(const struct plan *plan);
void preprocess(const struct plan *plan, const uint8_t *pixels, ptrdiff_t stride, float *out, void *scratch);

static inline int plan_groups(const struct plan *plan)
{
    return (plan->columns + GROUP - 1) / GROUP;
}

/* First output column of a group. The last group overlaps the one before it, so that all are whole; only where there
 * are fewer than GROUP columns at all does a group have some that are not stored. */
static inline int group_column(const struct plan *plan, int group)
{
    int column = group * GROUP;
    int last = plan->columns - GROUP;
    return column <= last ? column : last > 0 ? last : 0;
}

#endif
