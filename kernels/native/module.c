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

/* Whether a buffer has `count` elements of `size` bytes. */
static int has(const Py_buffer *buffer, Py_ssize_t count, size_t size)
{
    return count >= 0 && buffer->len == count * (Py_ssize_t)size;
}

/* The arrays of a plan, in the order of the last argument. */
enum { ROW_STARTS, ROW_WEIGHTS, SPANS, SEGMENTS, COLUMN_STARTS, COLUMN_WEIGHTS, ARRAYS };

static const struct kernels *kernels_by_name(const char *name)
{
    return strcmp(name, "avx2") == 0 ? avx2_kernels() : strcmp(name, "portable") == 0 ? &portable_kernels : NULL;
}

static PyObject *make_plan(PyObject *module, PyObject *args)
{
    struct plan numbers = {0}, *plan = NULL;
    struct axis_weights rows, columns;
    Py_buffer arrays[ARRAYS];
    const char *simd;
    int bits, most_column_bits;
    (void)module;
    if (!PyArg_ParseTuple(args, "s(iii)(iiip)(iiii)(ii)(iiiii)(ffff)(ffff)(y*y*y*y*y*y*)", &simd, &numbers.height,
                          &numbers.width, &numbers.channels, &numbers.out_channels, &numbers.out_height,
                          &numbers.out_width, &numbers.planar, &numbers.top, &numbers.left, &numbers.rows,
                          &numbers.columns, &numbers.first_column, &numbers.source_columns, &rows.taps, &columns.taps,
                          &numbers.segment_count, &bits, &most_column_bits, &numbers.scale[0], &numbers.scale[1],
                          &numbers.scale[2], &numbers.scale[3], &numbers.offset[0], &numbers.offset[1],
                          &numbers.offset[2], &numbers.offset[3], &arrays[0], &arrays[1], &arrays[2], &arrays[3],
                          &arrays[4], &arrays[5]))
        return NULL;
    int summed = numbers.segment_count > 0;
    numbers.kernels = kernels_by_name(simd);
    numbers.spans = arrays[SPANS].buf;
    numbers.segments = arrays[SEGMENTS].buf;
    rows.starts = arrays[ROW_STARTS].buf;
    rows.weights = arrays[ROW_WEIGHTS].buf;
    columns.starts = arrays[COLUMN_STARTS].buf;
    columns.weights = arrays[COLUMN_WEIGHTS].buf;
    if (numbers.kernels != NULL && rows.taps > 0 && columns.taps > 0
        && has(&arrays[ROW_STARTS], numbers.rows, sizeof *rows.starts)
        && has(&arrays[ROW_WEIGHTS], (Py_ssize_t)numbers.rows * rows.taps, sizeof *rows.weights)
        && has(&arrays[SPANS], summed ? (Py_ssize_t)numbers.rows + 2 : 0, sizeof *numbers.spans)
        && has(&arrays[SEGMENTS], numbers.segment_count, sizeof *numbers.segments)
        && has(&arrays[COLUMN_STARTS], numbers.columns, sizeof *columns.starts)
        && has(&arrays[COLUMN_WEIGHTS], (Py_ssize_t)numbers.columns * columns.taps, sizeof *columns.weights))
        plan = plan_create(&numbers, &rows, &columns, bits, most_column_bits);
    for (int i = 0; i < ARRAYS; i++)
        PyBuffer_Release(&arrays[i]);
    if (plan == NULL) {
        PyErr_SetString(PyExc_ValueError, "no memory, or a plan whose parts do not fit together");
        return NULL;
    }
    return PyCapsule_New(plan, PLAN_NAME, free_plan);
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
    {"plan", make_plan, METH_VARARGS, "Make a plan, a capsule."},
    {"run", (PyCFunction)(void (*)(void))run, METH_FASTCALL, "run(plan, pixels, out): preprocess without the GIL."},
    {"simd_levels", simd_levels, METH_NOARGS, "The instruction sets that can be used here, best first."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModule_Create(&definition);
}
