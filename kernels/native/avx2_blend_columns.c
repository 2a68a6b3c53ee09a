/* Columns for AVX2, eight at a time, from interleaved int16 to normalised planes or pixels. */
#include "avx2.h"

#ifdef HAVE_AVX2_SOURCES

/* The products of two source columns with their weights, for one output column in each half: an int32 a channel. */
INLINE __m256i blend_pair(const int16_t *first, const int16_t *second, const int16_t *weights, __m256i order)
{
    __m128i low = _mm_loadu_si128((const __m128i *)first), high = _mm_loadu_si128((const __m128i *)second);
    __m256i words = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    return _mm256_madd_epi16(_mm256_shuffle_epi8(words, order), load(weights));
}

/* Two output columns, one in each half, four channels each. */
INLINE __m256 blend_two(const int16_t *first, const int16_t *second, const int16_t *weights, int pairs, ptrdiff_t step,
                        __m256i order)
{
    __m256i sum = blend_pair(first, second, weights, order);
    __m256 total;
    if (pairs <= PAIRS_IN_INT32) {
        for (int p = 1; p < pairs; p++)
            sum = _mm256_add_epi32(sum, blend_pair(first + p * step, second + p * step, weights + p * GROUP_WORDS, order));
        return _mm256_cvtepi32_ps(sum);
    }
    total = _mm256_cvtepi32_ps(sum);
    for (int p = 1; p < pairs; p++) {
        sum = blend_pair(first + p * step, second + p * step, weights + p * GROUP_WORDS, order);
        total = _mm256_add_ps(total, _mm256_cvtepi32_ps(sum));
    }
    return total;
}

INLINE void store_some(float *out, __m256 values, int count)
{
    float spare[GROUP];
    _mm256_storeu_ps(spare, values);
    memcpy(out, spare, (size_t)count * sizeof(float));
}

struct normaliser {
    __m256 scale[4], offset[4];
};

/* Eight columns of one channel each, from four vectors of two columns of four channels. */
INLINE void store_planes(const struct normaliser *normaliser, const __m256 two[4], float *out, size_t plane, int count,
                         int channels)
{
    __m256 a = _mm256_unpacklo_ps(two[0], two[1]), b = _mm256_unpacklo_ps(two[2], two[3]);
    __m256 c = _mm256_unpackhi_ps(two[0], two[1]), d = _mm256_unpackhi_ps(two[2], two[3]);
    __m256 planes[4] = {_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee), _mm256_shuffle_ps(c, d, 0x44),
                        _mm256_shuffle_ps(c, d, 0xee)};
    for (int channel = 0; channel < channels; channel++, out += plane) {
        __m256 values = _mm256_fmadd_ps(planes[channel], normaliser->scale[channel], normaliser->offset[channel]);
        if (count == GROUP)
            _mm256_storeu_ps(out, values);
        else
            store_some(out, values, count);
    }
}

/* Writes four floats a column and lets the next column overwrite what is too much, but not behind the last one. */
INLINE void store_pixels(const struct plan *plan, const __m256 two[4], float *out, int count)
{
    __m256 scale = _mm256_broadcast_ps((const __m128 *)plan->scale);
    __m256 offset = _mm256_broadcast_ps((const __m128 *)plan->offset);
    __m128 columns[GROUP];
    for (int v = 0; v < 4; v++) {
        __m256 values = _mm256_fmadd_ps(two[v], scale, offset);
        columns[v] = _mm256_castps256_ps128(values);
        columns[v + 4] = _mm256_extractf128_ps(values, 1);
    }
    for (int i = 0; i < count - 1; i++, out += plan->out_channels)
        _mm_storeu_ps(out, columns[i]);
    store_some(out, _mm256_castps128_ps256(columns[count - 1]), plan->out_channels);
}

enum store { THREE_PLANES, PLANES, PIXELS };

/* pairs and store are constants in every use. */
INLINE void blend_groups(const struct plan *plan, const int16_t *blended, float *out, int pairs, enum store store,
                         __m256i order)
{
    const ptrdiff_t step = 2 * plan->channels, groups = plan_groups(plan);
    const size_t plane = (size_t)plan->out_height * plan->out_width;
    const int channels = store == THREE_PLANES ? 3 : plan->out_channels;
    const int count = store != THREE_PLANES && plan->columns < GROUP ? plan->columns : GROUP;
    const int16_t *weights = plan->column_weights;
    const int32_t *starts = plan->column_starts;
    struct normaliser normaliser;
    for (int c = 0; c < channels; c++) {
        normaliser.scale[c] = _mm256_broadcast_ss(plan->scale + c);
        normaliser.offset[c] = _mm256_broadcast_ss(plan->offset + c);
    }
    for (ptrdiff_t g = 0; g < groups; g++, starts += GROUP, weights += pairs * GROUP_WORDS) {
        ptrdiff_t column = g + 1 < groups ? g * GROUP : group_column(plan, (int)g);
        __m256 two[4];
        for (int v = 0; v < 4; v++)
            two[v] = blend_two(blended + starts[v], blended + starts[v + 4], weights + 16 * v, pairs, step, order);
        if (store == PIXELS)
            store_pixels(plan, two, out + column * channels, count);
        else
            store_planes(&normaliser, two, out + column, plane, count, channels);
    }
}

INLINE void blend_row_columns(const struct plan *plan, const int16_t *blended, float *out, enum store store,
                              __m256i order)
{
    switch (plan->column_pairs) {
    case 1: blend_groups(plan, blended, out, 1, store, order); break;
    case 2: blend_groups(plan, blended, out, 2, store, order); break;
    case 3: blend_groups(plan, blended, out, 3, store, order); break;
    case 4: blend_groups(plan, blended, out, 4, store, order); break;
    case 5: blend_groups(plan, blended, out, 5, store, order); break;
    default: blend_groups(plan, blended, out, plan->column_pairs, store, order); break;
    }
}

AVX2 void avx2_blend_columns(const struct plan *plan, const int16_t *blended, float *out)
{
    /* Bytes of two neighbouring pixels, reordered to (left, right) for each of four channels. */
    static const int8_t orders[5][16] = {
        [1] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3},
        [3] = {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1},
        [4] = {0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15},
    };
    __m256i order = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)orders[plan->channels]));
    if (plan->planar && plan->out_channels == 3 && plan->columns >= GROUP)
        blend_row_columns(plan, blended, out, THREE_PLANES, order);
    else if (plan->planar || plan->out_channels == 1)
        blend_row_columns(plan, blended, out, PLANES, order);
    else
        blend_row_columns(plan, blended, out, PIXELS, order);
}

#endif
