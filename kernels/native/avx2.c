/* Whether the AVX2 kernels can be used. */
#include "avx2.h"
#include "preprocess.h"

#ifdef HAVE_AVX2_SOURCES

static const struct kernels kernels = {"avx2", avx2_blend_rows, avx2_sum_rows, avx2_blend_columns};

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
