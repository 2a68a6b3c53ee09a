/* Weighted rows for AVX2, 32 or 64 bytes at a time. */
#include "avx2.h"

#ifdef HAVE_AVX2_SOURCES

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

AVX2 void avx2_blend_rows(const uint8_t *const *rows, const int16_t *weights, int pairs, int shift, ptrdiff_t bytes,
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

#endif
