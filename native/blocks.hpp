// A cell's equations on a block of rows: loading their arguments and storing their results.
//
// Rows are computed one after the other and overlap in the processor, more so if the loop is short. Values that do not
// change in the loop are therefore local variables, so that the compiler can see that they do not.
#pragma once

#include "layer.hpp"

namespace gatescope {
namespace GATESCOPE_LEVEL {

// A run without interventions; the compiler removes all of this.
template <class V>
struct Unchanged {
    V operator()(int, V value) const { return value; }
    V before(int, V value) const { return value; }
    V back(int, V adjoint) const { return adjoint; }
};

// value <- scale * value + shift, for one vector of neurons of one row at one step.
template <class T>
struct Changed {
    using V = Vector<T>;
    const Problem<T>& problem;
    Lanes<T> lanes;
    ptrdiff_t step, row, neuron;

    ptrdiff_t before_offset() const { return (step * problem.rows + row) * problem.neurons + neuron; }
    ptrdiff_t change_offset(int k) const {
        return step * problem.change_step[k] + row * problem.change_row[k] + neuron;
    }

    V operator()(int k, V value) const {
        if (!problem.scale[k]) return value;
        if (problem.before[k]) lanes.store(problem.before[k] + before_offset(), value);
        const ptrdiff_t offset = change_offset(k);
        return lanes.load(problem.scale[k] + offset) * value + lanes.load(problem.shift[k] + offset);
    }
    V before(int k, V value) const {
        return problem.before[k] ? lanes.load(problem.before[k] + before_offset()) : value;
    }
    V back(int k, V adjoint) const {
        return problem.scale[k] ? lanes.load(problem.scale[k] + change_offset(k)) * adjoint : adjoint;
    }
};

// The arguments of the equations of one tile, for a block of rows at one step.
template <class T>
struct ForwardBlock {
    const Layer<T>* layer;
    ptrdiff_t tile, step, rows;
    const ptrdiff_t* row;                   // batch row of each row
    const ptrdiff_t* places;                // offset of its signals of this step in arrays (T, B, N)
    const T* drives;                        // (rows, drive, vector, lane)
    const T* parameters;                    // (parameter, padded neurons)
    const T* const* previous[MAX_SIGNALS];  // for each state, the values of each row
    T* passing[MAX_SIGNALS];                // for each state that is not returned, the target of the first row
};

template <class Cell, class T, bool changes>
void forward_block(const ForwardBlock<T>& block) {
    using V = Vector<T>;
    constexpr int L = WIDTH<T>, drives = Cell::input_alone + Cell::joined + Cell::recurrent_alone;
    const Layer<T>& layer = *block.layer;
    const Problem<T>& problem = layer.problem;
    const int vectors = layer.vectors;
    const ptrdiff_t pitch = ptrdiff_t(drives) * vectors * L, N = layer.N, rows = block.rows;
    bool passes = false;
    for (int k = 0; k < Cell::states; ++k) passes = passes || block.passing[k];
    for (int v = 0; v < vectors; ++v) {
        const ptrdiff_t neuron = (block.tile * vectors + v) * L;
        if (neuron >= N) break;
        const Lanes<T> lanes(layer.filled(neuron));
        V parameter[Cell::parameters + 1];
        for (int k = 0; k < Cell::parameters; ++k) parameter[k] = load(block.parameters + k * layer.padded + neuron);
        T *signals[Cell::signals], *residuals[Cell::residuals + 1];
        for (int k = 0; k < Cell::signals; ++k) signals[k] = problem.signals[k] ? problem.signals[k] + neuron : nullptr;
        for (int k = 0; k < Cell::residuals; ++k) {
            residuals[k] = problem.residuals[k] ? problem.residuals[k] + neuron : nullptr;
        }
        const T* source = block.drives + v * L;
        for (ptrdiff_t r = 0; r < rows; ++r, source += pitch) {
            V drive[drives + 1], state[Cell::states + 1], signal[Cell::signals];
            for (int d = 0; d < drives; ++d) drive[d] = load(source + d * vectors * L);
            for (int k = 0; k < Cell::states; ++k) state[k] = lanes.load(block.previous[k][r] + neuron);
            if constexpr (changes) {
                const Changed<T> change{problem, lanes, block.step, block.row[r], neuron};
                Cell::forward(drive, state, parameter, signal, change);
            } else {
                Cell::forward(drive, state, parameter, signal, Unchanged<V>());
            }
            const ptrdiff_t place = block.places[r];
            for (int k = 0; k < Cell::signals; ++k) {
                if (signals[k]) lanes.store(signals[k] + place, signal[k]);
            }
            for (int k = 0; k < Cell::residuals; ++k) {
                if (residuals[k]) lanes.store(residuals[k] + place, drive[Cell::residual_drive[k]]);
            }
            if (!passes) continue;
            for (int k = 0; k < Cell::states; ++k) {
                if (block.passing[k]) lanes.store(block.passing[k] + r * N + neuron, signal[Cell::state_signal[k]]);
            }
        }
    }
}

template <class T>
using ForwardCell = void (*)(const ForwardBlock<T>&);

// The arguments of the derivatives of one vector of neurons, for a block of rows at one step.
template <class T>
struct BackwardBlock {
    const Layer<T>* layer;
    const Backward<T>* request;
    ptrdiff_t tile, step, rows;
    int vector;
    const ptrdiff_t* row;                   // batch row of each row
    const ptrdiff_t* places;                // offset of its signals of this step in arrays (T, B, N)
    const T* parameters;                    // (parameter, padded neurons)
    const T* const* previous[MAX_SIGNALS];  // for each state, the values of each row
    const T* hidden;                        // dL/dh through the recurrent drives of the next step
    ptrdiff_t hidden_pitch;
    T* carried[MAX_SIGNALS];  // dL/d state: on entry of this step, on return of the step before
    T* drives;                // receives dL/d drive: (rows, drive, vector, lane)
    T* d_parameters;          // (parameter, padded neurons), added to
};

template <class Cell, class T, bool changes>
void backward_block(const BackwardBlock<T>& block) {
    using V = Vector<T>;
    constexpr int L = WIDTH<T>, drives = Cell::input_alone + Cell::joined + Cell::recurrent_alone;
    const Layer<T>& layer = *block.layer;
    const Backward<T>& request = *block.request;
    const int vectors = layer.vectors;
    const ptrdiff_t pitch = ptrdiff_t(drives) * vectors * L, padded = layer.padded, rows = block.rows;
    const ptrdiff_t neuron = (block.tile * vectors + block.vector) * L, hidden_pitch = block.hidden_pitch;
    const Lanes<T> lanes(layer.filled(neuron));
    V parameter[Cell::parameters + 1], d_parameter[Cell::parameters + 1], total[Cell::parameters + 1];
    for (int k = 0; k < Cell::parameters; ++k) {
        parameter[k] = load(block.parameters + k * padded + neuron);
        total[k] = load(block.d_parameters + k * padded + neuron);
    }
    const T *signals[Cell::signals], *d_signals[Cell::signals];
    ptrdiff_t d_row[Cell::signals];
    for (int k = 0; k < Cell::signals; ++k) {
        signals[k] = request.signals[k] + neuron;
        const T* d_signal = request.d_signals[k];
        d_signals[k] = d_signal ? d_signal + block.step * request.d_step[k] + neuron : nullptr;
        d_row[k] = request.d_row[k];
    }
    T* target = block.drives + block.vector * L;
    const T* hidden = block.hidden;
    for (ptrdiff_t r = 0; r < rows; ++r, target += pitch, hidden += hidden_pitch) {
        const ptrdiff_t row = block.row[r], place = block.places[r];
        V signal[Cell::signals], gradient[Cell::signals], state[Cell::states + 1], residual[Cell::residuals + 1];
        V d_drive[drives + 1], d_state[Cell::states + 1];
        for (int k = 0; k < Cell::signals; ++k) {
            signal[k] = lanes.load(signals[k] + place);
            gradient[k] = d_signals[k] ? lanes.load(d_signals[k] + row * d_row[k]) : V{};
        }
        for (int k = 0; k < Cell::states; ++k) {
            state[k] = lanes.load(block.previous[k][r] + neuron);
            gradient[Cell::state_signal[k]] += load(block.carried[k] + r * padded + neuron);
        }
        gradient[Cell::hidden] += load(hidden);
        for (int k = 0; k < Cell::residuals; ++k) residual[k] = lanes.load(request.residuals[k] + place + neuron);
        if constexpr (changes) {
            const Changed<T> change{request, lanes, block.step, row, neuron};
            Cell::backward(signal, state, parameter, residual, gradient, d_drive, d_state, d_parameter, change);
        } else {
            Cell::backward(signal, state, parameter, residual, gradient, d_drive, d_state, d_parameter,
                           Unchanged<V>());
        }
        // Lanes without a neuron may hold anything, also 0 / 0.
        for (int d = 0; d < drives; ++d) store(target + d * vectors * L, lanes.only(d_drive[d]));
        for (int k = 0; k < Cell::states; ++k) {
            store(block.carried[k] + r * padded + neuron, lanes.only(d_state[k]));
        }
        for (int k = 0; k < Cell::parameters; ++k) total[k] += lanes.only(d_parameter[k]);
    }
    for (int k = 0; k < Cell::parameters; ++k) store(block.d_parameters + k * padded + neuron, total[k]);
}

template <class T>
using BackwardCell = void (*)(const BackwardBlock<T>&);

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
