/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libtorch behind plain C.
 *
 * Every function that returns int32_t gives GANTRY_TORCH_OK or another code below, never lets a C++ exception out, and
 * on failure writes a UTF-8 text, cut to fit and always terminated, to `error` (borrowed for the call, may be null when
 * `error_capacity` is 0). Pointers are borrowed for the call unless the function says otherwise.
 *
 * Thread rule: a handle belongs to one thread at a time. Different handles may be used at once.
 */
#ifndef GANTRY_TORCH_H
#define GANTRY_TORCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GANTRY_TORCH_OK = 0,
    /* libtorch refused or the model raised an error; the text says what. */
    GANTRY_TORCH_FAILED = 1,
    /* No memory for the tensors. */
    GANTRY_TORCH_NO_MEMORY = 2,
    /* The model's output has not the shape inputs x findings; the text says which it has. */
    GANTRY_TORCH_OUTPUT_SHAPE = 3,
    /* An output or a gradient is not finite. */
    GANTRY_TORCH_NOT_FINITE = 4,
    /* An argument of the call is not valid. */
    GANTRY_TORCH_ARGUMENT = 5,
    /* A layer that was named is not there, or gives nothing that can be laid over the input; the text says why. */
    GANTRY_TORCH_LAYER = 6
};

/* A loaded TorchScript module; freed by gantry_torch_model_free. */
typedef struct gantry_torch_model gantry_torch_model;

/* An optimiser over some of a model's parameters; freed by gantry_torch_trainer_free. Keeps the model's tensors alive. */
typedef struct gantry_torch_trainer gantry_torch_trainer;

/* A batch of model inputs, dense, row-major: count x channels x height x width. */
typedef struct gantry_torch_inputs {
    /* float, or IEEE half precision when is_half is not 0; borrowed for the call. */
    const void *values;
    int32_t is_half;
    int64_t count;
    int64_t channels;
    int64_t height;
    int64_t width;
} gantry_torch_inputs;

enum { GANTRY_TORCH_SGD = 0, GANTRY_TORCH_ADAM = 1 };

typedef struct gantry_torch_optimiser {
    int32_t kind;
    double weight_decay;
    /* SGD only. */
    double momentum;
    /* The gradient is scaled down to this Euclidean length when it is longer; 0: never. */
    double longest_gradient;
} gantry_torch_optimiser;

/*
 * Lets libtorch use `threads` threads for one operation called from this thread, and multiplies and convolves a little,
 * forwards and backwards, so that it and the libraries below it have read what they want to know of the machine and
 * started their threads.
 */
int32_t gantry_torch_begin(int32_t threads, char *error, size_t error_capacity);

/* Reads a TorchScript file that lies in memory and puts the module into evaluation mode. */
int32_t gantry_torch_model_load(
    const void *file, size_t bytes, gantry_torch_model **model, char *error, size_t error_capacity);

/*
 * The schema of libtorch's `index`th operator as a text, and whether a model may use it (`gantry_torch_model_load` refuses
 * one that uses others). GANTRY_TORCH_ARGUMENT after the last one.
 */
int32_t gantry_torch_operator(size_t index, char *schema, size_t schema_capacity, int32_t *is_allowed);

void gantry_torch_model_free(gantry_torch_model *model);

/*
 * Says that the module is a segmentation model: its output is inputs x outputs x rows x columns, and an output of an input is
 * the highest value that at least `least` places of its mask reach. 0: it is not.
 */
void gantry_torch_model_set_masks(gantry_torch_model *model, int64_t least);

/* Parameters (not buffers) in the order in which the module declares them. */
size_t gantry_torch_parameter_count(const gantry_torch_model *model);

/*
 * Name (owned by the model), rank and, for at most `capacity` dimensions, shape of parameter `index`. `trains` says
 * whether the file marks it as trainable.
 */
int32_t gantry_torch_parameter(
    const gantry_torch_model *model, size_t index, const char **name, size_t *rank, int64_t *shape, size_t capacity,
    int32_t *trains, char *error, size_t error_capacity);

/* Copies the values of parameter `index` as float to `values`, which has room for exactly `count`. */
int32_t gantry_torch_parameter_read(
    const gantry_torch_model *model, size_t index, float *values, size_t count, char *error, size_t error_capacity);

/* Sets the values of parameter `index`. */
int32_t gantry_torch_parameter_write(
    gantry_torch_model *model, size_t index, const float *values, size_t count, char *error, size_t error_capacity);

/*
 * Runs the model without gradients on its optimised copy (frozen; made at the first call after parameters changed).
 * Writes inputs->count x outputs_per_input values.
 */
int32_t gantry_torch_score(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, float *outputs, char *error,
    size_t error_capacity);

/* As gantry_torch_score, on the module itself with the parameters of this moment: for models that are being trained. */
int32_t gantry_torch_forward(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, float *outputs, char *error,
    size_t error_capacity);

/*
 * The masks of a segmentation model for one input, as it gives them: outputs_per_input x rows x columns values, if `capacity`
 * is enough for them.
 */
int32_t gantry_torch_masks(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, float *values,
    size_t capacity, int64_t *rows, int64_t *columns, char *error, size_t error_capacity);

/*
 * The activation of one layer for one input, its channels weighted by the mean gradient of output `output` (Grad-CAM).
 * `layer` is the path of a submodule, such as "features.denseblock4", whose forward gives 1 x channels x rows x columns.
 * Writes rows x columns values, positive where the input speaks for the output, if `capacity` is enough for them.
 */
int32_t gantry_torch_activation_map(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, int64_t output,
    const char *layer, float *values, size_t capacity, int64_t *rows, int64_t *columns, char *error,
    size_t error_capacity);

/*
 * An optimiser over the parameters whose `trained` byte is not 0 (one byte for each parameter, in order). All others get
 * no gradient.
 */
int32_t gantry_torch_trainer_new(
    gantry_torch_model *model, const uint8_t *trained, size_t count, const gantry_torch_optimiser *optimiser,
    gantry_torch_trainer **trainer, char *error, size_t error_capacity);

void gantry_torch_trainer_free(gantry_torch_trainer *trainer);

/*
 * Adds to the gradients: runs the module on the inputs and goes back with `output_gradients` (inputs->count x
 * outputs_per_input), the derivative of the loss with respect to each output.
 */
int32_t gantry_torch_trainer_accumulate(
    gantry_torch_trainer *trainer, const gantry_torch_inputs *inputs, int64_t outputs_per_input,
    const float *output_gradients, char *error, size_t error_capacity);

/* One step of the optimiser with the gradients added since the last one, which are forgotten afterwards. */
int32_t gantry_torch_trainer_step(
    gantry_torch_trainer *trainer, double learning_rate, char *error, size_t error_capacity);

/*
 * The small-cnn architecture as a TorchScript file: its bytes, if `capacity` is enough for them. Channel counts of its
 * convolutions are `widths` (`stages` of them, each a multiple of 8); every stage halves height and width.
 */
int32_t gantry_torch_make_small_cnn(
    int64_t channels, int64_t findings, const int64_t *widths, size_t stages, uint64_t seed, void *file, size_t capacity,
    size_t *bytes, char *error, size_t error_capacity);


#ifdef __cplusplus
}
#endif

#endif
