// SPDX-License-Identifier: GPL-3.0-or-later
#include "model.hpp"

#include "operators.hpp"

#include <ATen/Parallel.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <dlfcn.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

namespace gantry {

at::Tensor tensor_of(const gantry_torch_inputs &inputs) {
    if (inputs.values == nullptr || inputs.count < 1 || inputs.channels < 1 || inputs.height < 1 || inputs.width < 1) {
        throw Failure{GANTRY_TORCH_ARGUMENT, "empty input"};
    }
    const auto type = inputs.is_half != 0 ? at::kHalf : at::kFloat;
    // from_blob wants a mutable pointer but nothing here writes to it.
    at::Tensor tensor = torch::from_blob(
        const_cast<void *>(inputs.values), {inputs.count, inputs.channels, inputs.height, inputs.width},
        at::TensorOptions().dtype(type));
    return inputs.is_half != 0 ? tensor.to(at::kFloat) : tensor;
}

namespace {

at::Tensor output_of(torch::jit::Module &module, const at::Tensor &inputs) {
    // The profiling executor specialises for each new batch size and, on big models, spends minutes on it when
    // gradients are wanted; freezing and optimize_for_inference have done what pays.
    torch::jit::GraphOptimizerEnabledGuard plain(false);
    c10::IValue result = module.forward({inputs});
    if (result.isTuple() && !result.toTupleRef().elements().empty()) {
        c10::IValue first = result.toTupleRef().elements()[0];
        result = first;
    }
    if (!result.isTensor()) {
        throw Failure{
            GANTRY_TORCH_OUTPUT_SHAPE, "the model's output is a " + result.tagKind() + ", not a tensor"};
    }
    return result.toTensor();
}

[[noreturn]] void refuse_shape(const at::Tensor &output, int64_t count, const std::string &expected) {
    std::string shape;
    for (int64_t dimension : output.sizes()) shape += (shape.empty() ? "" : " x ") + std::to_string(dimension);
    throw Failure{
        GANTRY_TORCH_OUTPUT_SHAPE,
        "the model's output for " + std::to_string(count) + " inputs has the shape " +
            (shape.empty() ? "of a single number" : shape) + ", expected " + expected};
}

// inputs x outputs_per_input x rows x columns.
at::Tensor masks_of(
    torch::jit::Module &module, const at::Tensor &inputs, int64_t outputs_per_input, int64_t least_places) {
    const at::Tensor output = output_of(module, inputs);
    const int64_t count = inputs.size(0);
    const bool is_mask = output.dim() == 4 && output.size(0) == count && output.size(1) == outputs_per_input;
    if (!is_mask || output.size(2) * output.size(3) < least_places) {
        refuse_shape(
            output, count,
            "masks of " + std::to_string(count) + " x " + std::to_string(outputs_per_input) + " x rows x columns, of " +
                std::to_string(least_places) + " places or more");
    }
    return output.to(at::kFloat);
}

}  // namespace

at::Tensor run(
    torch::jit::Module &module, const at::Tensor &inputs, int64_t outputs_per_input, int64_t least_places) {
    const int64_t count = inputs.size(0);
    if (least_places > 0) {
        const at::Tensor masks = masks_of(module, inputs, outputs_per_input, least_places);
        return std::get<0>(masks.flatten(2).topk(least_places, 2)).amin(2);
    }
    const at::Tensor output = output_of(module, inputs);
    const bool flat = outputs_per_input == 1 && output.dim() == 1 && output.size(0) == count;
    const bool rows = output.dim() == 2 && output.size(0) == count && output.size(1) == outputs_per_input;
    if (!flat && !rows) {
        refuse_shape(output, count, std::to_string(count) + " x " + std::to_string(outputs_per_input));
    }
    return output.to(at::kFloat).reshape({count, outputs_per_input});
}

namespace {

void copy_out(const at::Tensor &output, float *values) {
    const at::Tensor dense = output.contiguous();
    const float *source = dense.data_ptr<float>();
    for (int64_t index = 0; index < dense.numel(); ++index) {
        if (!std::isfinite(source[index])) {
            throw Failure{
                GANTRY_TORCH_NOT_FINITE, "output " + std::to_string(index % dense.size(1)) + " of input " +
                                             std::to_string(index / dense.size(1)) + " is not a finite number"};
        }
    }
    std::memcpy(values, source, sizeof(float) * static_cast<size_t>(dense.numel()));
}

// What caffe2's MemoryReadAdapter does, within bounds: a damaged archive asks for what lies outside.
class FileInMemory final : public caffe2::serialize::ReadAdapterInterface {
public:
    FileInMemory(const void *file, size_t bytes) : file_(static_cast<const char *>(file)), bytes_(bytes) {}

    size_t size() const override { return bytes_; }

    size_t read(uint64_t position, void *buffer, size_t count, const char *) const override {
        if (position >= bytes_) return 0;
        const size_t here = std::min(count, bytes_ - static_cast<size_t>(position));
        std::memcpy(buffer, file_ + position, here);
        return here;
    }

private:
    const char *file_;
    size_t bytes_;
};

torch::jit::Module optimised(const torch::jit::Module &module) {
    torch::NoGradGuard no_gradients;
    torch::jit::Module copy = module.clone();
    copy.eval();
    return torch::jit::optimize_for_inference(copy);
}

}  // namespace

}  // namespace gantry

using gantry::ErrorText;
using gantry::Failure;
using gantry::guarded;

int32_t gantry_torch_begin(int32_t threads, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        at::set_num_threads(threads < 1 ? 1 : threads);
        // libtorch knows nothing of OpenBLAS' threads, which has no header here and need not be the BLAS that is installed.
        if (void *function = dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
            reinterpret_cast<void (*)(int)>(function)(threads < 1 ? 1 : threads);
        }
        const auto options = at::TensorOptions().dtype(at::kFloat).requires_grad(true);
        const at::Tensor images = torch::ones({4, 3, 64, 64}, options);
        const at::Tensor filters = torch::ones({8, 3, 3, 3}, options);
        const at::Tensor seen = torch::relu(torch::conv2d(images, filters, {}, 2, 1)).flatten(1);
        const at::Tensor weights = torch::ones({seen.size(1), 256}, options);
        torch::matmul(seen, weights).sum().backward();
        // Its generator of random numbers begins with a seed of the system.
        torch::rand({1});
    });
}

int32_t gantry_torch_model_load(
    const void *file, size_t bytes, gantry_torch_model **model, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        auto loaded = std::make_unique<gantry_torch_model>();
        loaded->module = torch::jit::load(std::make_shared<gantry::FileInMemory>(file, bytes), at::kCPU);
        // Evaluation mode also while training: running statistics are buffers, which do not travel with a delta.
        loaded->module.eval();
        if (!loaded->module.find_method("forward")) {
            throw Failure{GANTRY_TORCH_FAILED, "the module has no method “forward”"};
        }
        gantry::check_operators(loaded->module);
        for (const auto &parameter : loaded->module.named_parameters(true)) {
            loaded->names.push_back(parameter.name);
            loaded->parameters.push_back(parameter.value);
            loaded->trains.push_back(parameter.value.requires_grad());
        }
        *model = loaded.release();
    });
}

void gantry_torch_model_free(gantry_torch_model *model) {
    (void)guarded({nullptr, 0}, [&] { delete model; });
}

void gantry_torch_model_set_masks(gantry_torch_model *model, int64_t least) { model->least_places = least; }

size_t gantry_torch_parameter_count(const gantry_torch_model *model) { return model->names.size(); }

int32_t gantry_torch_parameter(
    const gantry_torch_model *model, size_t index, const char **name, size_t *rank, int64_t *shape, size_t capacity,
    int32_t *trains, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        if (index >= model->names.size()) throw Failure{GANTRY_TORCH_ARGUMENT, "no such parameter"};
        const at::Tensor &tensor = model->parameters[index];
        *name = model->names[index].c_str();
        *rank = static_cast<size_t>(tensor.dim());
        for (size_t axis = 0; axis < std::min(*rank, capacity); ++axis) shape[axis] = tensor.size(static_cast<int64_t>(axis));
        *trains = model->trains[index] ? 1 : 0;
    });
}

int32_t gantry_torch_parameter_read(
    const gantry_torch_model *model, size_t index, float *values, size_t count, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        if (index >= model->names.size()) throw Failure{GANTRY_TORCH_ARGUMENT, "no such parameter"};
        const at::Tensor dense = model->parameters[index].detach().to(at::kFloat).contiguous();
        if (static_cast<size_t>(dense.numel()) != count) throw Failure{GANTRY_TORCH_ARGUMENT, "wrong number of values"};
        std::memcpy(values, dense.data_ptr<float>(), sizeof(float) * count);
    });
}

int32_t gantry_torch_parameter_write(
    gantry_torch_model *model, size_t index, const float *values, size_t count, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        if (index >= model->names.size()) throw Failure{GANTRY_TORCH_ARGUMENT, "no such parameter"};
        at::Tensor &tensor = model->parameters[index];
        if (static_cast<size_t>(tensor.numel()) != count) throw Failure{GANTRY_TORCH_ARGUMENT, "wrong number of values"};
        torch::NoGradGuard no_gradients;
        tensor.copy_(torch::from_blob(const_cast<float *>(values), tensor.sizes(), at::TensorOptions().dtype(at::kFloat)));
        model->scoring.reset();
    });
}

int32_t gantry_torch_score(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, float *outputs, char *error,
    size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        if (!model->scoring) model->scoring = gantry::optimised(model->module);
        c10::InferenceMode inference;
        gantry::copy_out(gantry::run(*model->scoring, gantry::tensor_of(*inputs), outputs_per_input, model->least_places), outputs);
    });
}

int32_t gantry_torch_forward(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, float *outputs, char *error,
    size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        torch::NoGradGuard no_gradients;
        gantry::copy_out(gantry::run(model->module, gantry::tensor_of(*inputs), outputs_per_input, model->least_places), outputs);
    });
}

int32_t gantry_torch_masks(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, float *values,
    size_t capacity, int64_t *rows, int64_t *columns, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        if (inputs->count != 1 || model->least_places < 1) {
            throw Failure{GANTRY_TORCH_ARGUMENT, "one input of a segmentation model"};
        }
        torch::NoGradGuard no_gradients;
        const at::Tensor masks =
            gantry::masks_of(model->module, gantry::tensor_of(*inputs), outputs_per_input, model->least_places).contiguous();
        if (static_cast<size_t>(masks.numel()) > capacity) {
            throw Failure{GANTRY_TORCH_OUTPUT_SHAPE, "a mask has more places than the input"};
        }
        std::memcpy(values, masks.data_ptr<float>(), sizeof(float) * static_cast<size_t>(masks.numel()));
        *rows = masks.size(2);
        *columns = masks.size(3);
    });
}
