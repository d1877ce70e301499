// The arguments of the time loop: sizes and pointers, nothing that depends on an instruction set.
//
// T step, B row (sequence of the batch), I input, N neuron. Arrays whose strides are not given are contiguous.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gatescope {

constexpr int MAX_SIGNALS = 16;  // of one cell; also of its states, drives, parameters and residuals

// The constants of one struct of cells.hpp, as the time loop reads them.
struct CellShape {
    const char* key;
    const char* name;
    int input_alone, joined, recurrent_alone;
    int states, parameters, signals, residuals;
    int hidden;
    const int* state_signal;
    const int* residual_drive;

    int drives() const { return input_alone + joined + recurrent_alone; }
};

template <class T>
struct Problem {
    int cell = 0;
    ptrdiff_t steps = 0, rows = 0, inputs = 0, neurons = 0;
    bool reverse = false;
    int threads = 1;

    // Vectors x[t * x_step + b * x_row + i], or symbols ids[t * id_step + b * id_row]; unknown ids are zero vectors.
    const T* x = nullptr;
    ptrdiff_t x_step = 0, x_row = 0;
    const int64_t* ids = nullptr;
    ptrdiff_t id_step = 0, id_row = 0;
    const int64_t* lengths = nullptr;  // (B); null: all rows have T steps

    // (G, N, I), (G, N), (R, N, N), (P, N); the orders map each drive of the struct to its matrix; -1: no matrix.
    const T* input_weights = nullptr;
    const T* biases = nullptr;
    const T* recurrent_weights = nullptr;
    const T* neuron_weights = nullptr;
    int input_order[MAX_SIGNALS] = {}, recurrent_order[MAX_SIGNALS] = {};

    const T* initial[MAX_SIGNALS] = {};  // (B, N) for each state; null: 0
    T* signals[MAX_SIGNALS] = {};        // (T, B, N) for each signal; null: not returned
    T* residuals[MAX_SIGNALS] = {};      // (T, B, N)

    // Interventions: a signal becomes scale * value + shift, both at [t * change_step + b * change_row + n].
    bool changed = false;
    const T* scale[MAX_SIGNALS] = {};
    const T* shift[MAX_SIGNALS] = {};
    ptrdiff_t change_step[MAX_SIGNALS] = {}, change_row[MAX_SIGNALS] = {};
    T* before[MAX_SIGNALS] = {};  // (T, B, N): the values before the change, for the backward pass
};

template <class T>
struct Forward : Problem<T> {
    T* final[MAX_SIGNALS] = {};  // (B, N) for each state

    // Known hidden states at [t * hidden_step + b * hidden_row + n]; null: unknown. If given, every step reads these,
    // and the final hidden state is one of them.
    const T* hidden = nullptr;
    ptrdiff_t hidden_step = 0, hidden_row = 0;
};

template <class T>
struct Backward : Problem<T> {
    const T* d_signals[MAX_SIGNALS] = {};  // dL/d signal, at [t * d_step + b * d_row + n]; null: 0
    ptrdiff_t d_step[MAX_SIGNALS] = {}, d_row[MAX_SIGNALS] = {};
    const T* d_final[MAX_SIGNALS] = {};  // (B, N) for each state; null: 0

    // Results for the inputs (T, B, I), the initial states (B, N) and the four weights in their own layouts; null: not
    // computed.
    T* d_x = nullptr;
    T* d_initial[MAX_SIGNALS] = {};
    T* d_input_weights = nullptr;
    T* d_biases = nullptr;
    T* d_recurrent_weights = nullptr;
    T* d_neuron_weights = nullptr;
};

// Everything that is compiled once for each instruction-set level.
struct Level {
    const char* name;
    const CellShape* cells;
    int count;
    void (*forward_float)(const Forward<float>&);
    void (*forward_double)(const Forward<double>&);
    void (*backward_float)(const Backward<float>&);
    void (*backward_double)(const Backward<double>&);
    double (*multiply_adds)(ptrdiff_t);  // runs a number of rounds of multiply-adds; returns the number of operations
};

}  // namespace gatescope
