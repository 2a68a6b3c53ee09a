/* Large downscales for AVX2: each source row is read once, for both output rows that it is part of. */
#include "avx2.h"

#ifdef HAVE_AVX2_SOURCES

/* Sums over rows of 32 bytes, in 16 bits: [0] of bytes 0..8 and 16..24, [1] of the others, as unpacking leaves them. */
struct sums {
    __m256i plain[2], ramp[2];
};

INLINE void sum_pair(struct sums *sums, __m256i x, __m256i y, __m256i weights)
{
    const __m256i ones = _mm256_set1_epi8(1);
    __m256i low = _mm256_unpacklo_epi8(x, y), high = _mm256_unpackhi_epi8(x, y);
    sums->plain[0] = _mm256_add_epi16(sums->plain[0], _mm256_maddubs_epi16(low, ones));
    sums->plain[1] = _mm256_add_epi16(sums->plain[1], _mm256_maddubs_epi16(high, ones));
    sums->ramp[0] = _mm256_add_epi16(sums->ramp[0], _mm256_maddubs_epi16(low, weights));
    sums->ramp[1] = _mm256_add_epi16(sums->ramp[1], _mm256_maddubs_epi16(high, weights));
}

/* Eight floats of both output rows. carry is the upper row on entry and the lower one on return. */
INLINE __m256 share_out(float *carry, float *lower, __m128i plain, __m128i ramp, const struct segment *segment, int first,
                        int last)
{
    __m256 p = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(plain)), r = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(ramp));
    __m256 above = _mm256_fmadd_ps(p, _mm256_broadcast_ss(&segment->upper), _mm256_loadu_ps(carry));
    __m256 below = _mm256_mul_ps(p, _mm256_broadcast_ss(&segment->lower));
    above = _mm256_fmadd_ps(r, _mm256_broadcast_ss(&segment->upper_slope), above);
    below = _mm256_fmadd_ps(r, _mm256_broadcast_ss(&segment->lower_slope), below);
    if (!first)
        below = _mm256_add_ps(below, _mm256_loadu_ps(lower));
    _mm256_storeu_ps(last ? carry : lower, below);
    if (!last)
        _mm256_storeu_ps(carry, above);
    return above;
}

/* One segment of 32 * vectors bytes; vectors, first and last are constants in every use. */
INLINE void sum_segment(const uint8_t *row, ptrdiff_t stride, const struct segment *segment, int vectors, int first,
                        int last, float *carry, float *lower, int16_t *blended)
{
    const __m256i zero = _mm256_setzero_si256(), two = _mm256_set1_epi8(2);
    struct sums sums[2] = {{{zero, zero}, {zero, zero}}, {{zero, zero}, {zero, zero}}};
    __m256i weights = _mm256_set1_epi16(0x0100);
    for (int k = segment->count; k >= 2; k -= 2, row += 2 * stride) {
        for (int v = 0; v < vectors; v++)
            sum_pair(&sums[v], load(row + 32 * v), load(row + stride + 32 * v), weights);
        weights = _mm256_add_epi8(weights, two);
    }
    if (segment->count & 1)
        for (int v = 0; v < vectors; v++)
            sum_pair(&sums[v], load(row + 32 * v), zero, weights);
    for (int v = 0; v < vectors; v++) {
        for (int h = 0; h < 2; h++) {
            int at = 32 * v + 16 * h;
            __m128i plain[2], ramp[2];
            for (int i = 0; i < 2; i++) {
                plain[i] = h ? _mm256_extracti128_si256(sums[v].plain[i], 1) : _mm256_castsi256_si128(sums[v].plain[i]);
                ramp[i] = h ? _mm256_extracti128_si256(sums[v].ramp[i], 1) : _mm256_castsi256_si128(sums[v].ramp[i]);
            }
            __m256 x = share_out(carry + at, lower + at, plain[0], ramp[0], segment, first, last);
            __m256 y = share_out(carry + at + 8, lower + at + 8, plain[1], ramp[1], segment, first, last);
            if (last) {
                __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(x), _mm256_cvtps_epi32(y));
                _mm256_storeu_si256((__m256i *)(blended + at), _mm256_permute4x64_epi64(words, 0xd8));
            }
        }
    }
}

INLINE void sum_block(const uint8_t *origin, ptrdiff_t stride, const struct segment *segments, int count, int vectors,
                      float *carry, int16_t *blended)
{
    float lower[64] = {0};
    if (count == 1) {
        sum_segment(origin + segments->first * stride, stride, segments, vectors, 1, 1, carry, lower, blended);
        return;
    }
    for (int s = 0; s < count; s++)
        sum_segment(origin + segments[s].first * stride, stride, segments + s, vectors, 0, 0, carry, lower, blended);
    static const struct segment none;
    sum_segment(origin, stride, &none, vectors, 0, 1, carry, lower, blended);
}

/* The last bytes of a row, fewer than 32: the rows are copied, so that whole vectors can be read. */
AVX2 static void sum_rest(const uint8_t *origin, ptrdiff_t stride, const struct segment *segments, int count, size_t bytes,
                          float *carry, int16_t *blended)
{
    uint8_t rows[MAX_SUMMED_ROWS][32] = {{0}};
    float lower[32] = {0};
    for (int s = 0; s <= count; s++) {
        struct segment segment = {0};
        if (s < count)
            segment = segments[s];
        for (int k = 0; k < segment.count; k++)
            memcpy(rows[k], origin + (segment.first + k) * stride, bytes);
        if (s < count)
            sum_segment(rows[0], 32, &segment, 1, 0, 0, carry, lower, blended);
        else
            sum_segment(rows[0], 32, &segment, 1, 0, 1, carry, lower, blended);
    }
}

AVX2 void avx2_sum_rows(const uint8_t *origin, ptrdiff_t stride, const struct segment *segments, int count, int ahead,
                        ptrdiff_t bytes, float *carry, int16_t *blended)
{
    ptrdiff_t at = 0;
    for (; at + 64 <= bytes; at += 64) {
        for (const struct segment *next = segments + count; next < segments + count + ahead; next++)
            for (int k = 0; k < next->count; k++)
                _mm_prefetch((const char *)(origin + (next->first + k) * stride + at), _MM_HINT_T1);
        sum_block(origin + at, stride, segments, count, 2, carry + at, blended + at);
    }
    if (at + 32 <= bytes) {
        sum_block(origin + at, stride, segments, count, 1, carry + at, blended + at);
        at += 32;
    }
    if (at < bytes)
        sum_rest(origin + at, stride, segments, count, (size_t)(bytes - at), carry + at, blended + at);
}

#endif
