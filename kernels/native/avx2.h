/* What the AVX2 sources share. They are compiled for any x86-64 and only run where avx2_kernels() finds AVX2. */
#ifndef AVX2_H
#define AVX2_H

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define HAVE_AVX2_SOURCES 1

#include "preprocess.h"

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define INLINE static inline __attribute__((always_inline)) AVX2

INLINE __m256i load(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

void avx2_blend_rows(const uint8_t *const *rows, const int16_t *weights, int pairs, int shift, ptrdiff_t bytes,
                     int16_t *blended);
void avx2_sum_rows(const uint8_t *origin, ptrdiff_t stride, const struct segment *segments, int count, int ahead,
                   ptrdiff_t bytes, float *carry, int16_t *blended);
void avx2_blend_columns(const struct plan *plan, const int16_t *blended, float *out);

#endif
#endif
