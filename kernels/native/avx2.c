/* The kernels for AVX2: 32 source bytes, or eight output columns, at a time. */
#include "preprocess.h"

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define INLINE static inline __attribute__((always_inline)) AVX2

INLINE __m256i load(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

/* Bytes at..at+32 of two rows times their two weights, onto four sums in the order that unpacking leaves. */
INLINE void add_pair(__m256i sums[4], const uint8_t *first, const uint8_t *second, __m256i weights)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i x = load(first), y = load(second);
    __m256i low = _mm256_unpacklo_epi8(x, y), high = _mm256_unpackhi_epi8(x, y);
    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), weights));
    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), weights));
    sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), weights));
    sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), weights));
}

INLINE void store_blended(int16_t *blended, const __m256i sums[4], __m128i shift)
{
    __m256i low = _mm256_packs_epi32(_mm256_sra_epi32(sums[0], shift), _mm256_sra_epi32(sums[1], shift));
    __m256i high = _mm256_packs_epi32(_mm256_sra_epi32(sums[2], shift), _mm256_sra_epi32(sums[3], shift));
    _mm256_storeu_si256((__m256i *)blended, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(blended + 16), _mm256_permute2x128_si256(low, high, 0x31));
}

/* 32 * vectors bytes; pairs and vectors are constants in every use, so that the loops unroll. */
INLINE void blend_block(const uint8_t *const *rows, const int32_t *weights, int pairs, int shift, ptrdiff_t at,
                        int vectors, int16_t *blended)
{
    const __m256i half = _mm256_set1_epi32(1 << (shift - 1));
    __m256i sums[2][4] = {{half, half, half, half}, {half, half, half, half}};
    for (int p = 0; p < pairs; p++) {
        __m256i weight = _mm256_set1_epi32(weights[p]);
        for (int v = 0; v < vectors; v++)
            add_pair(sums[v], rows[2 * p] + at + 32 * v, rows[2 * p + 1] + at + 32 * v, weight);
    }
    for (int v = 0; v < vectors; v++)
        store_blended(blended + at + 32 * v, sums[v], _mm_cvtsi32_si128(shift));
}

INLINE void blend_row(const uint8_t *const *rows, const int32_t *weights, int pairs, int shift, ptrdiff_t bytes,
                      int16_t *blended)
{
    ptrdiff_t at = 0;
    for (; at + 64 <= bytes; at += 64)
        blend_block(rows, weights, pairs, shift, at, 2, blended);
    if (at + 32 <= bytes) {
        blend_block(rows, weights, pairs, shift, at, 1, blended);
        at += 32;
    }
    if (at < bytes)
        blend_block(rows, weights, pairs, shift, bytes - 32, 1, blended);
}

AVX2 static void blend_rows(const uint8_t *const *rows, const int16_t *weights, int pairs, int shift, ptrdiff_t bytes,
                            int16_t *blended)
{
    const int32_t *both = (const int32_t *)(const void *)weights;
    if (bytes < 32) {
        portable_kernels.blend_rows(rows, weights, pairs, shift, bytes, blended);
        return;
    }
    switch (pairs) {
    case 1: blend_row(rows, both, 1, shift, bytes, blended); break;
    case 2: blend_row(rows, both, 2, shift, bytes, blended); break;
    case 3: blend_row(rows, both, 3, shift, bytes, blended); break;
    default: blend_row(rows, both, pairs, shift, bytes, blended); break;
    }
}

/* Adds weight * plain + slope * ramp to 8 floats; both sums are uint16. */
INLINE void add_sums(float *total, __m128i plain, __m128i ramp, __m256 weight, __m256 slope)
{
    __m256 sum = _mm256_loadu_ps(total);
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(plain)), weight, sum);
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(ramp)), slope, sum);
    _mm256_storeu_ps(total, sum);
}

/* One segment of 32 bytes. The sums of bytes 0..8 and 16..24 end up in the low halves, of the others in the high. */
INLINE void sum_segment(const uint8_t *row, ptrdiff_t stride, const struct segment *segment, float *upper, float *lower)
{
    const __m256i ones = _mm256_set1_epi8(1), two = _mm256_set1_epi8(2);
    __m256i weights = _mm256_set1_epi16(0x0100);
    __m256i plain_low = _mm256_setzero_si256(), plain_high = plain_low, ramp_low = plain_low, ramp_high = plain_low;
    int k = 0;
    for (; k + 2 <= segment->count; k += 2, row += 2 * stride) {
        __m256i x = load(row), y = load(row + stride);
        __m256i low = _mm256_unpacklo_epi8(x, y), high = _mm256_unpackhi_epi8(x, y);
        plain_low = _mm256_add_epi16(plain_low, _mm256_maddubs_epi16(low, ones));
        plain_high = _mm256_add_epi16(plain_high, _mm256_maddubs_epi16(high, ones));
        ramp_low = _mm256_add_epi16(ramp_low, _mm256_maddubs_epi16(low, weights));
        ramp_high = _mm256_add_epi16(ramp_high, _mm256_maddubs_epi16(high, weights));
        weights = _mm256_add_epi8(weights, two);
    }
    if (k < segment->count) {
        __m256i x = load(row), zero = _mm256_setzero_si256();
        __m256i low = _mm256_unpacklo_epi8(x, zero), high = _mm256_unpackhi_epi8(x, zero);
        plain_low = _mm256_add_epi16(plain_low, low);
        plain_high = _mm256_add_epi16(plain_high, high);
        ramp_low = _mm256_add_epi16(ramp_low, _mm256_maddubs_epi16(low, weights));
        ramp_high = _mm256_add_epi16(ramp_high, _mm256_maddubs_epi16(high, weights));
    }
    __m128i plain[4] = {_mm256_castsi256_si128(plain_low), _mm256_castsi256_si128(plain_high),
                        _mm256_extracti128_si256(plain_low, 1), _mm256_extracti128_si256(plain_high, 1)};
    __m128i ramp[4] = {_mm256_castsi256_si128(ramp_low), _mm256_castsi256_si128(ramp_high),
                       _mm256_extracti128_si256(ramp_low, 1), _mm256_extracti128_si256(ramp_high, 1)};
    for (int q = 0; q < 4; q++) {
        add_sums(upper + 8 * q, plain[q], ramp[q], _mm256_set1_ps(segment->upper), _mm256_set1_ps(segment->upper_slope));
        add_sums(lower + 8 * q, plain[q], ramp[q], _mm256_set1_ps(segment->lower), _mm256_set1_ps(segment->lower_slope));
    }
}

INLINE void finish_block(float *carry, const float *lower, int16_t *blended)
{
    for (int h = 0; h < 32; h += 16) {
        __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(_mm256_loadu_ps(carry + h)),
                                           _mm256_cvtps_epi32(_mm256_loadu_ps(carry + h + 8)));
        _mm256_storeu_si256((__m256i *)(blended + h), _mm256_permute4x64_epi64(words, 0xd8));
    }
    memcpy(carry, lower, 32 * sizeof(float));
}

AVX2 static void sum_rows(const uint8_t *origin, ptrdiff_t stride, const struct segment *segments, int count, int ahead,
                          ptrdiff_t bytes, float *carry, int16_t *blended)
{
    ptrdiff_t at = 0;
    for (; at + 32 <= bytes; at += 32) {
        float lower[32] = {0};
        if ((at & 32) == 0)
            for (const struct segment *next = segments + count; next < segments + count + ahead; next++)
                for (int k = 0; k < next->count; k++)
                    _mm_prefetch((const char *)(origin + (next->first + k) * stride + at), _MM_HINT_T0);
        for (const struct segment *segment = segments; segment < segments + count; segment++)
            sum_segment(origin + segment->first * stride + at, stride, segment, carry + at, lower);
        finish_block(carry + at, lower, blended + at);
    }
    if (at < bytes) {
        float lower[32] = {0};
        uint8_t rest[MAX_SUMMED_ROWS][32] = {{0}};
        for (const struct segment *segment = segments; segment < segments + count; segment++) {
            for (int k = 0; k < segment->count; k++)
                memcpy(rest[k], origin + (segment->first + k) * stride + at, (size_t)(bytes - at));
            sum_segment(rest[0], 32, segment, carry + at, lower);
        }
        finish_block(carry + at, lower, blended + at);
    }
}

/* Two output columns, one in each half: for each, four int32 sums as floats, one a channel. */
INLINE __m256 blend_two(const int16_t *first, const int16_t *second, const int16_t *weights, int pairs, int step,
                        __m256i order)
{
    __m256 sum = _mm256_setzero_ps();
    for (int p = 0; p < pairs; p++) {
        __m128i low = _mm_loadu_si128((const __m128i *)(first + p * step));
        __m128i high = _mm_loadu_si128((const __m128i *)(second + p * step));
        __m256i words = _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), order);
        sum = _mm256_add_ps(sum, _mm256_cvtepi32_ps(_mm256_madd_epi16(words, load(weights + p * GROUP_WORDS))));
    }
    return sum;
}

/* Eight columns of one channel each, from four vectors of two columns of four channels. */
INLINE void store_planes(const struct plan *plan, const __m256 two[4], float *out, int count)
{
    size_t plane = (size_t)plan->out_height * plan->out_width;
    __m256 a = _mm256_unpacklo_ps(two[0], two[1]), b = _mm256_unpacklo_ps(two[2], two[3]);
    __m256 c = _mm256_unpackhi_ps(two[0], two[1]), d = _mm256_unpackhi_ps(two[2], two[3]);
    __m256 planes[4] = {_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee), _mm256_shuffle_ps(c, d, 0x44),
                        _mm256_shuffle_ps(c, d, 0xee)};
    for (int channel = 0; channel < plan->out_channels; channel++) {
        __m256 values = _mm256_fmadd_ps(planes[channel], _mm256_broadcast_ss(plan->scale + channel),
                                        _mm256_broadcast_ss(plan->offset + channel));
        float spare[GROUP];
        _mm256_storeu_ps(count == GROUP ? out + channel * plane : spare, values);
        if (count < GROUP)
            memcpy(out + channel * plane, spare, (size_t)count * sizeof(float));
    }
}

INLINE void store_pixels(const struct plan *plan, const __m256 two[4], float *out, int count)
{
    __m256 scale = _mm256_broadcast_ps((const __m128 *)plan->scale);
    __m256 offset = _mm256_broadcast_ps((const __m128 *)plan->offset);
    float spare[GROUP][4];
    for (int v = 0; v < 4; v++) {
        __m256 values = _mm256_fmadd_ps(two[v], scale, offset);
        _mm_storeu_ps(spare[v], _mm256_castps256_ps128(values));
        _mm_storeu_ps(spare[v + 4], _mm256_extractf128_ps(values, 1));
    }
    for (int i = 0; i < count; i++)
        memcpy(out + i * plan->out_channels, spare[i], (size_t)plan->out_channels * sizeof(float));
}

INLINE void blend_groups(const struct plan *plan, const int16_t *blended, float *out, int pairs, __m256i order)
{
    int step = 2 * plan->channels, groups = plan_groups(plan);
    int count = plan->columns < GROUP ? plan->columns : GROUP;
    const int16_t *weights = plan->column_weights;
    for (int g = 0; g < groups; g++, weights += (ptrdiff_t)pairs * GROUP_WORDS) {
        const int32_t *starts = plan->column_starts + g * GROUP;
        int column = group_column(plan, g);
        __m256 two[4];
        for (int v = 0; v < 4; v++)
            two[v] = blend_two(blended + starts[v], blended + starts[v + 4], weights + 16 * v, pairs, step, order);
        if (plan->planar)
            store_planes(plan, two, out + column, count);
        else
            store_pixels(plan, two, out + (ptrdiff_t)column * plan->out_channels, count);
    }
}

AVX2 static void blend_columns(const struct plan *plan, const int16_t *blended, float *out)
{
    /* Bytes of two neighbouring pixels, reordered to (left, right) for each of four channels. */
    static const int8_t orders[5][16] = {
        [1] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3},
        [3] = {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1},
        [4] = {0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15},
    };
    __m256i order = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)orders[plan->channels]));
    switch (plan->column_pairs) {
    case 1: blend_groups(plan, blended, out, 1, order); break;
    case 2: blend_groups(plan, blended, out, 2, order); break;
    case 3: blend_groups(plan, blended, out, 3, order); break;
    case 4: blend_groups(plan, blended, out, 4, order); break;
    case 5: blend_groups(plan, blended, out, 5, order); break;
    default: blend_groups(plan, blended, out, plan->column_pairs, order); break;
    }
}

static const struct kernels kernels = {"avx2", blend_rows, sum_rows, blend_columns};

const struct kernels *avx2_kernels(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels : NULL;
}

#else

const struct kernels *avx2_kernels(void)
{
    return NULL;
}

#endif
