// SPDX-License-Identifier: GPL-3.0-or-later
//
// The small-cnn architecture, written as TorchScript from C++: modules, parameters and the source text of their methods.

#include "failure.hpp"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <sstream>
#include <vector>

namespace {

using Unit = std::shared_ptr<torch::jit::CompilationUnit>;

torch::jit::Module module_named(const std::string &name, const Unit &unit) {
    return torch::jit::Module(c10::QualifiedName("__torch__.gantry." + name), unit, true);
}

void add_parameter(torch::jit::Module &module, const std::string &name, at::Tensor value) {
    value.requires_grad_(true);
    module.register_parameter(name, value, false);
}

// The first half of the filters smooth, under a binomial kernel; the others are drawn freely. Random 3 x 3 filters are edge
// detectors, and behind a stack of them a lesion, which is a soft blob, hardly differs from the skull's rim.
//
// Spread as He et al. 2015, "Delving deep into rectifiers": variance 2 / inputs of the unit. In the first layer the smooth
// filters begin with the contrasts between two channels (this window and not that one), so that what tells two densities
// apart does not depend on the luck of the draw.
at::Tensor filters(int64_t to, int64_t from, bool is_first, at::Generator &random) {
    at::Tensor weight = at::empty({to, from, 3, 3});
    weight.normal_(0, std::sqrt(2.0 / static_cast<double>(from * 9)), random);
    const int64_t smooth = to / 2;
    at::Tensor mixture = at::empty({smooth, from});
    mixture.normal_(0, std::sqrt(2.0 / static_cast<double>(from)), random);
    int64_t filter = 0;
    for (int64_t plus = 0; is_first && plus < from; ++plus) {
        for (int64_t minus = 0; minus < from && filter < smooth; ++minus) {
            if (plus == minus) continue;
            mixture[filter].mul_(0.2);
            mixture[filter][plus] += std::sqrt(2.0);
            mixture[filter][minus] -= std::sqrt(2.0);
            ++filter;
        }
    }
    const at::Tensor line = torch::tensor({0.25f, 0.5f, 0.25f});
    // Neighbouring values in an image are alike, which shrinks less than the variance rule assumes: 1.6 makes up for it.
    const at::Tensor kernel = at::outer(line, line) * 1.6;
    weight.narrow(0, 0, smooth).copy_(mixture.view({smooth, from, 1, 1}) * kernel);
    return weight;
}

// 3 x 3 convolution that halves height and width, GroupNorm, ReLU. GroupNorm, since BatchNorm's running statistics do
// not survive averaging between hospitals.
torch::jit::Module stage(int64_t from, int64_t to, bool is_first, const Unit &unit, at::Generator &random) {
    torch::jit::Module convolution = module_named("Convolution", unit);
    add_parameter(convolution, "weight", filters(to, from, is_first, random));
    convolution.define(R"(
        def forward(self, x: Tensor) -> Tensor:
            return torch.conv2d(x, self.weight, None, [2, 2], [1, 1])
    )");
    torch::jit::Module norm = module_named("GroupNorm", unit);
    add_parameter(norm, "weight", at::ones({to}));
    add_parameter(norm, "bias", at::zeros({to}));
    std::ostringstream text;
    text << "def forward(self, x: Tensor) -> Tensor:\n"
         << "    return torch.group_norm(x, " << to / 8 << ", self.weight, self.bias)\n";
    norm.define(text.str());
    torch::jit::Module result = module_named("Stage", unit);
    result.register_module("conv", convolution);
    result.register_module("norm", norm);
    result.define(R"(
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.norm.forward(self.conv.forward(x)))
    )");
    return result;
}

// One linear layer over everything that the stages saw. It begins near 0: with larger weights it is their noise that
// decides which slice of a study is the highest, and a maximum then teaches the wrong one.
torch::jit::Module head(int64_t features, int64_t findings, const Unit &unit, at::Generator &random) {
    torch::jit::Module linear = module_named("Head", unit);
    at::Tensor weight = at::empty({findings, features});
    weight.normal_(0, 0.1 * std::sqrt(1.0 / static_cast<double>(features)), random);
    add_parameter(linear, "weight", weight);
    add_parameter(linear, "bias", at::zeros({findings}));
    linear.define(R"(
        def forward(self, x: Tensor) -> Tensor:
            return torch.linear(x, self.weight, self.bias)
    )");
    return linear;
}

}  // namespace

int32_t gantry_torch_make_small_cnn(
    int64_t channels, int64_t findings, const int64_t *widths, size_t stages, uint64_t seed, void *file, size_t capacity,
    size_t *bytes, char *error, size_t error_capacity) {
    return gantry::guarded({error, error_capacity}, [&] {
        if (channels < 1 || findings < 1 || stages < 1) {
            throw gantry::Failure{GANTRY_TORCH_ARGUMENT, "at least one channel, one finding and one stage"};
        }
        at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
        auto unit = std::make_shared<torch::jit::CompilationUnit>();
        torch::jit::Module root = module_named("SmallCNN", unit);
        std::ostringstream text;
        text << "def forward(self, x: Tensor) -> Tensor:\n";
        int64_t from = channels;
        int64_t features = 0;
        std::string pooled;
        for (size_t index = 0; index < stages; ++index) {
            if (widths[index] < 8 || widths[index] % 8 != 0) {
                throw gantry::Failure{GANTRY_TORCH_ARGUMENT, "every stage is a multiple of 8 channels wide"};
            }
            const std::string name = "stage" + std::to_string(index + 1);
            root.register_module(name, stage(from, widths[index], index == 0, unit, random));
            text << "    x = self." << name << ".forward(x)\n"
                 << "    mean" << index << " = torch.mean(x, [2, 3])\n"
                 << "    peak" << index << " = torch.amax(x, [2, 3])\n";
            pooled += (index == 0 ? "mean" : ", mean") + std::to_string(index) + ", peak" + std::to_string(index);
            features += 2 * widths[index];
            from = widths[index];
        }
        root.register_module("head", head(features, findings, unit, random));
        text << "    return self.head.forward(torch.cat([" << pooled << "], 1))\n";
        root.define(text.str());
        std::ostringstream archive;
        root.save(archive);
        const std::string content = archive.str();
        if (content.size() > capacity) throw gantry::Failure{GANTRY_TORCH_ARGUMENT, "the network does not fit the memory"};
        std::memcpy(file, content.data(), content.size());
        *bytes = content.size();
    });
}
