/* The Python module: plans as capsules, and `run`, which gives up the GIL while it works. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "preprocess.h"

#include <stdlib.h>
#include <string.h>

static const char PLAN_NAME[] = "harness.kernels._native.plan";

/* Scratch that no run is using, guarded by the GIL: at most one block for each run that was ever under way at a time. */
struct scratch {
    struct scratch *next;
    size_t bytes;
};
static struct scratch *idle;

static struct scratch *take_scratch(size_t bytes)
{
    struct scratch *scratch = idle;
    if (scratch != NULL)
        idle = scratch->next;
    if (scratch == NULL || scratch->bytes < bytes) {
        free(scratch);
        scratch = malloc(sizeof *scratch + bytes);
        if (scratch != NULL)
            scratch->bytes = bytes;
    }
    return scratch;
}

static void give_back(struct scratch *scratch)
{
    scratch->next = idle;
    idle = scratch;
}

static void free_plan(PyObject *capsule)
{
    free(PyCapsule_GetPointer(capsule, PLAN_NAME));
}

/* The arrays of a plan, in the order of `plan`'s arguments, and how many bytes each must have. */
enum { ROW_STARTS, ROW_WEIGHTS, SPANS, SEGMENTS, COLUMN_STARTS, COLUMN_WEIGHTS, ARRAYS };

static void expected_bytes(const struct plan *plan, size_t bytes[ARRAYS])
{
    size_t rows = (size_t)plan->rows, groups = (size_t)plan_groups(plan);
    int summed = plan->segment_count > 0;
    bytes[ROW_STARTS] = summed ? 0 : rows * sizeof(int32_t);
    bytes[ROW_WEIGHTS] = summed ? 0 : rows * 2 * plan->row_pairs * sizeof(int16_t);
    bytes[SPANS] = summed ? (rows + 2) * sizeof(int32_t) : 0;
    bytes[SEGMENTS] = (size_t)plan->segment_count * sizeof(struct segment);
    bytes[COLUMN_STARTS] = groups * GROUP * sizeof(int32_t);
    bytes[COLUMN_WEIGHTS] = groups * plan->column_pairs * GROUP_WORDS * sizeof(int16_t);
}

/* Whether every index in the plan stays inside the source, so that no plan can make `run` read elsewhere. */
static int plan_is_sound(const struct plan *plan)
{
    if (plan->rows < 1 || plan->columns < 1 || plan->top < 0 || plan->left < 0 || plan->column_pairs < 1
        || plan->rows > plan->out_height - plan->top || plan->columns > plan->out_width - plan->left
        || plan->first_column < 0 || plan->source_columns > plan->width - plan->first_column
        || plan->source_columns < 1 || plan->row_shift < 1 || plan->row_shift > 30)
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
        if (plan->row_starts[i] < 0 || plan->row_starts[i] >= plan->height)
            return 0;
    /* A start may leave the taps one pair beyond the last column, where weights are zero and scratch is spare. */
    int64_t words = (int64_t)plan->source_columns * plan->channels + SPARE_WORDS - 8;
    for (int i = 0; i < plan_groups(plan) * GROUP; i++)
        if (plan->column_starts[i] < 0
            || plan->column_starts[i] + (int64_t)2 * plan->channels * (plan->column_pairs - 1) > words)
            return 0;
    return 1;
}

static PyObject *make_plan(PyObject *module, PyObject *args)
{
    struct plan plan = {0};
    const char *simd;
    Py_buffer buffers[ARRAYS];
    (void)module;
    if (!PyArg_ParseTuple(args, "s(iii)(iiip)(iiii)(ii)(iiii)(ffff)(ffff)(y*y*y*y*y*y*)", &simd, &plan.height, &plan.width,
                          &plan.channels, &plan.out_channels, &plan.out_height, &plan.out_width, &plan.planar, &plan.top,
                          &plan.left, &plan.rows, &plan.columns, &plan.first_column, &plan.source_columns,
                          &plan.row_pairs, &plan.row_shift, &plan.column_pairs, &plan.segment_count, &plan.scale[0],
                          &plan.scale[1], &plan.scale[2], &plan.scale[3], &plan.offset[0], &plan.offset[1],
                          &plan.offset[2], &plan.offset[3], &buffers[0], &buffers[1], &buffers[2], &buffers[3],
                          &buffers[4], &buffers[5]))
        return NULL;
    size_t bytes[ARRAYS], total = (sizeof plan + 63) & ~(size_t)63;
    PyObject *capsule = NULL;
    char *block = NULL;
    expected_bytes(&plan, bytes);
    for (int i = 0; i < ARRAYS; i++) {
        if ((size_t)buffers[i].len != bytes[i]) {
            PyErr_Format(PyExc_ValueError, "array %d has %zd bytes instead of %zu", i, buffers[i].len, bytes[i]);
            goto done;
        }
        total += (bytes[i] + 63) & ~(size_t)63;
    }
    plan.kernels = strcmp(simd, "avx2") == 0 ? avx2_kernels() : strcmp(simd, "portable") == 0 ? &portable_kernels : NULL;
    if (plan.kernels == NULL) {
        PyErr_Format(PyExc_ValueError, "no %s kernels here", simd);
        goto done;
    }
    block = malloc(total);
    if (block == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    void *arrays[ARRAYS];
    size_t at = (sizeof plan + 63) & ~(size_t)63;
    for (int i = 0; i < ARRAYS; i++) {
        arrays[i] = memcpy(block + at, buffers[i].buf, bytes[i]);
        at += (bytes[i] + 63) & ~(size_t)63;
    }
    plan.row_starts = arrays[ROW_STARTS];
    plan.row_weights = arrays[ROW_WEIGHTS];
    plan.spans = arrays[SPANS];
    plan.segments = arrays[SEGMENTS];
    plan.column_starts = arrays[COLUMN_STARTS];
    plan.column_weights = arrays[COLUMN_WEIGHTS];
    memcpy(block, &plan, sizeof plan);
    if (!plan_is_sound(&plan))
        PyErr_SetString(PyExc_ValueError, "the plan reaches outside its source or output");
    else
        capsule = PyCapsule_New(block, PLAN_NAME, free_plan);
done:
    if (capsule == NULL)
        free(block);
    for (int i = 0; i < ARRAYS; i++)
        PyBuffer_Release(&buffers[i]);
    return capsule;
}

static int fits(const struct plan *plan, const Py_buffer *pixels, const Py_buffer *out)
{
    Py_ssize_t wanted = (Py_ssize_t)sizeof(float) * plan->out_channels * plan->out_height * plan->out_width;
    return pixels->ndim == 3 && pixels->itemsize == 1 && pixels->shape[0] == plan->height
           && pixels->shape[1] == plan->width && pixels->shape[2] == plan->channels && out->len == wanted;
}

static PyObject *run(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer pixels, out;
    (void)module;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "run takes a plan, pixels and out");
        return NULL;
    }
    const struct plan *plan = PyCapsule_GetPointer(args[0], PLAN_NAME);
    if (plan == NULL || PyObject_GetBuffer(args[1], &pixels, PyBUF_STRIDES) < 0)
        return NULL;
    if (PyObject_GetBuffer(args[2], &out, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&pixels);
        return NULL;
    }
    struct scratch *scratch = NULL;
    if (!fits(plan, &pixels, &out))
        PyErr_SetString(PyExc_ValueError, "pixels or out do not fit the plan");
    else if ((scratch = take_scratch(plan_scratch_bytes(plan))) == NULL)
        PyErr_NoMemory();
    else {
        Py_BEGIN_ALLOW_THREADS
        preprocess(plan, pixels.buf, pixels.strides[0], out.buf, scratch + 1);
        Py_END_ALLOW_THREADS
        give_back(scratch);
    }
    PyBuffer_Release(&out);
    PyBuffer_Release(&pixels);
    return scratch == NULL ? NULL : Py_NewRef(Py_None);
}

static PyObject *simd_levels(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return avx2_kernels() != NULL ? Py_BuildValue("(ss)", "avx2", "portable") : Py_BuildValue("(s)", "portable");
}

static PyMethodDef methods[] = {
    {"plan", make_plan, METH_VARARGS, "Check the numbers of a plan and copy them into a capsule."},
    {"run", (PyCFunction)(void (*)(void))run, METH_FASTCALL, "run(plan, pixels, out): preprocess without the GIL."},
    {"simd_levels", simd_levels, METH_NOARGS, "The instruction sets that can be used here, best first."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModule_Create(&definition);
}
