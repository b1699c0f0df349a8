// SPDX-License-Identifier: GPL-3.0-or-later
#include "texture.hpp"

#include <algorithm>

#include "kernels.hpp"

namespace gantry {

Gaussian::Gaussian(double sigma) {
    if (sigma < 0.1) return;
    reach_ = std::max(1, static_cast<int>(std::ceil(sigma * 2.5)));
    kernel_.resize(static_cast<size_t>(reach_) + 1);
    double sum = 0;
    for (int i = 0; i <= reach_; ++i) {
        const double weight = std::exp(-0.5 * i * i / (sigma * sigma));
        kernel_[static_cast<size_t>(i)] = static_cast<float>(weight);
        sum += weight * (i == 0 ? 1 : 2);
    }
    // A separable kernel: the deviation falls by the sum of squares of one direction.
    noise_gain_ = 0;
    for (int i = 0; i <= reach_; ++i) {
        float &weight = kernel_[static_cast<size_t>(i)];
        weight = static_cast<float>(weight / sum);
        noise_gain_ += weight * weight * (i == 0 ? 1 : 2);
    }
}

void Gaussian::blur(std::vector<float> &picture, uint32_t rows, uint32_t columns) const {
    if (reach_ == 0) return;
    const auto pad = static_cast<size_t>(reach_);
    std::vector<float> line(columns + 2 * pad);
    for (uint32_t y = 0; y < rows; ++y) {
        float *const row = picture.data() + size_t{y} * columns;
        std::fill(line.begin(), line.begin() + reach_, row[0]);
        std::copy(row, row + columns, line.begin() + reach_);
        std::fill(line.end() - reach_, line.end(), row[columns - 1]);
        std::fill(row, row + columns, 0.f);
        for (int i = -reach_; i <= reach_; ++i) add_scaled(line.data() + (reach_ + i), columns, at(i), row);
    }
    const std::vector<float> source = picture;
    for (uint32_t y = 0; y < rows; ++y) {
        float *const row = picture.data() + size_t{y} * columns;
        std::fill(row, row + columns, 0.f);
        for (int i = -reach_; i <= reach_; ++i) {
            const int from = std::clamp(static_cast<int>(y) + i, 0, static_cast<int>(rows) - 1);
            add_scaled(source.data() + static_cast<size_t>(from) * columns, columns, at(i), row);
        }
    }
}

}  // namespace gantry
