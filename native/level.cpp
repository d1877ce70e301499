// The kernels for one instruction-set level: this file is compiled once for each, with GATESCOPE_LEVEL as its name.
#include <new>

#include "backward.hpp"
#include "forward.hpp"

namespace gatescope {
namespace GATESCOPE_LEVEL {
namespace {

#include "cells.hpp"

#define GATESCOPE_SHAPE(CELL)                                                                              \
    {CELL::key,        CELL::name,    CELL::input_alone, CELL::joined, CELL::recurrent_alone, CELL::states, \
     CELL::parameters, CELL::signals, CELL::residuals,   CELL::hidden, CELL::state_signal,    CELL::residual_drive},
#define GATESCOPE_FORWARD(CELL) {forward_block<CELL, T, false>, forward_block<CELL, T, true>},
#define GATESCOPE_BACKWARD(CELL) {backward_block<CELL, T, false>, backward_block<CELL, T, true>},

constexpr CellShape SHAPES[] = {GATESCOPE_CELLS(GATESCOPE_SHAPE)};

template <class T>
constexpr ForwardCell<T> FORWARD[][2] = {GATESCOPE_CELLS(GATESCOPE_FORWARD)};
template <class T>
constexpr BackwardCell<T> BACKWARD[][2] = {GATESCOPE_CELLS(GATESCOPE_BACKWARD)};

template <class T>
void forward(const Forward<T>& request) {
    ForwardPass<T>(request, SHAPES[request.cell], FORWARD<T>[request.cell][request.changed]).run();
}

template <class T>
void backward(const Backward<T>& request) {
    BackwardPass<T>(request, SHAPES[request.cell], BACKWARD<T>[request.cell][request.changed]).run();
}

// Runs twelve independent chains of multiply-adds, which hide each other's latency.
double multiply_adds(ptrdiff_t rounds) {
    FloatVector sums[12];
    for (int k = 0; k < 12; ++k) sums[k] = FloatVector{} + static_cast<float>(k);
    asm volatile("" : "+m"(sums));  // hides the values: the compiler would compute equal chains once
    const FloatVector factor = FloatVector{} + 0.999f, addend = FloatVector{} + 0.001f;
    for (ptrdiff_t k = 0; k < rounds; ++k) {
#pragma GCC unroll 12
        for (auto& sum : sums) sum = sum * factor + addend;
    }
    asm volatile("" : : "m"(sums) : "memory");
    return static_cast<double>(rounds) * 12 * 2 * WIDTH<float>;
}

}  // namespace

extern const Level LEVEL;
const Level LEVEL = {GATESCOPE_NAME,   SHAPES,         sizeof SHAPES / sizeof *SHAPES, forward<float>,
                     forward<double>, backward<float>, backward<double>,               multiply_adds};

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
