// Runs the kernels without Python, so that sanitizers see every access and another processor can be emulated.
//
// Every cell is run in both precisions, at every level of this processor and with several numbers of threads, on heap
// buffers of exactly the required size. Levels and numbers of threads are compared with each other, float with double,
// and the gradients in double with finite differences. Ends with status 1 and a message if two results differ.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "levels.hpp"
#include "memory.hpp"
#include "request.hpp"

using namespace gatescope;

namespace {

void run(const Level& level, const Forward<float>& request) { level.forward_float(request); }
void run(const Level& level, const Forward<double>& request) { level.forward_double(request); }
void run(const Level& level, const Backward<float>& request) { level.backward_float(request); }
void run(const Level& level, const Backward<double>& request) { level.backward_double(request); }

// The parameters of one case; everything else follows from them.
struct Case {
    int cell;
    ptrdiff_t steps, rows, inputs, neurons;
    bool symbols, state, lengths, reverse;
    int changes;     // 0 none, 1 the same everywhere, 2 for every step, 3 for every step and row
    bool every;      // return all signals, for a backward pass; otherwise only the hidden state
    bool want_x;     // compute the gradients of the inputs and of the initial states
    bool some;       // gradients arrive for some signals only, and for no final state

    std::string text(const Level& level, int threads, size_t bytes) const {
        char line[256];
        snprintf(line, sizeof line,
                 "%s of %s, %zu bytes a number, %d threads: T %td, B %td, I %td, N %td, symbols %d, state %d, lengths "
                 "%d, reverse %d, changes %d, every %d, x %d, some %d",
                 level.cells[cell].name, level.name, bytes, threads, steps, rows, inputs, neurons, symbols, state,
                 lengths, reverse, changes, every, want_x, some);
        return line;
    }
};

// The same numbers on every machine and in both precisions.
class Numbers {
public:
    explicit Numbers(uint64_t seed) : state_(seed * 2654435761u + 88172645463325252u) {}

    uint64_t whole() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        return state_ ^= state_ << 17;
    }
    double number() { return static_cast<double>(whole() >> 11) / (uint64_t(1) << 53) * 2 - 1; }  // -1 to 1

private:
    uint64_t state_;
};

// A heap buffer of exactly `count` numbers, so that the sanitizer notices the first access past its end.
template <class T>
class Array {
public:
    explicit Array(ptrdiff_t count = 0) : data_(new T[static_cast<size_t>(count)]), count_(count) {}

    static Array drawn(ptrdiff_t count, Numbers& numbers, double scale, double shift = 0) {
        Array made(count);
        for (ptrdiff_t k = 0; k < count; ++k) {
            // Rounded to what a float holds, so that both precisions compute with the same numbers.
            made.data_[k] = static_cast<T>(static_cast<float>(scale * numbers.number() + shift));
        }
        return made;
    }
    static Array filled(ptrdiff_t count, T value) {
        Array made(count);
        for (ptrdiff_t k = 0; k < count; ++k) made.data_[k] = value;
        return made;
    }

    T* get() const { return data_.get(); }
    ptrdiff_t size() const { return count_; }
    T& operator[](ptrdiff_t k) const { return data_[k]; }

private:
    std::unique_ptr<T[]> data_;
    ptrdiff_t count_;
};

template <class T>
struct Outcome {
    std::vector<Array<T>> values;     // returned signals and final states
    std::vector<Array<T>> gradients;  // in a fixed order
    double changed = 0;     // how many numbers change when the hidden states are given
};

// One case with its arguments, drawn once, and runs of it.
template <class T>
class Exercise {
public:
    explicit Exercise(const Case& problem, const Level& level) : case_(problem), shape_(level.cells[problem.cell]) {
        Numbers numbers(static_cast<uint64_t>(problem.cell + 31 * problem.neurons + 7 * problem.steps + problem.rows));
        const ptrdiff_t T_ = case_.steps, B = case_.rows, I = case_.inputs, N = case_.neurons;
        const int input_drives = shape_.input_alone + shape_.joined;
        const int recurrent_drives = shape_.joined + shape_.recurrent_alone;
        // With or without a gap after every row of the inputs, which is never read.
        const ptrdiff_t gap = case_.reverse ? 3 : 0;
        x_row_ = I + gap;
        x_step_ = B * x_row_;
        const ptrdiff_t read = case_.symbols || T_ * B == 0 ? 0 : T_ * B * x_row_ - gap;
        x_ = Array<T>::drawn(read, numbers, 1.5);
        for (ptrdiff_t k = 0; k < x_.size(); ++k) {
            if (k % x_row_ >= I) x_[k] = T(NAN);
        }
        ids_ = Array<int64_t>(case_.symbols ? T_ * B : 0);
        for (ptrdiff_t k = 0; k < ids_.size(); ++k) ids_[k] = static_cast<int64_t>(numbers.whole() % (I + 2)) - 1;
        lengths_ = Array<int64_t>(case_.lengths ? B : 0);
        for (ptrdiff_t b = 0; b < lengths_.size(); ++b) lengths_[b] = static_cast<int64_t>(numbers.whole() % (T_ + 1));
        input_weights_ = Array<T>::drawn(input_drives * N * I, numbers, 1 / std::sqrt(I + 1.0));
        biases_ = Array<T>::drawn(input_drives * N, numbers, 0.5);
        recurrent_weights_ = Array<T>::drawn(recurrent_drives * N * N, numbers, 1 / std::sqrt(N + 1.0));
        neuron_weights_ = Array<T>::drawn(shape_.parameters * N, numbers, 0.5);
        for (int k = 0; k < shape_.states; ++k) initial_.push_back(Array<T>::drawn(B * N, numbers, 0.3, 0.8));
        for (int k = 0; k < shape_.signals; ++k) {
            const ptrdiff_t steps = case_.changes > 1 ? T_ : 1, rows = case_.changes > 2 ? B : 1;
            const bool changed = case_.changes && k % 2 == 0;
            scale_.push_back(Array<T>::drawn(changed ? steps * rows * N : 0, numbers, 0.1, 0.9));
            shift_.push_back(Array<T>::drawn(changed ? steps * rows * N : 0, numbers, 0.1));
            d_signals_.push_back(Array<T>::drawn(T_ * B * N, numbers, 1));
        }
        for (int k = 0; k < shape_.states; ++k) d_final_.push_back(Array<T>::drawn(B * N, numbers, 1));
    }

    Outcome<T> operator()(const Level& level, int threads) {
        Outcome<T> outcome;
        const ptrdiff_t size = case_.steps * case_.rows * case_.neurons, state = case_.rows * case_.neurons;
        Forward<T> forward;
        fill(forward, threads);
        std::vector<Array<T>> residuals, before;
        for (int k = 0; k < shape_.signals; ++k) {
            outcome.values.push_back(Array<T>::filled(case_.every || k == shape_.hidden ? size : 0, UNTOUCHED));
            forward.signals[k] = case_.every || k == shape_.hidden ? outcome.values.back().get() : nullptr;
        }
        for (int k = 0; k < shape_.residuals && case_.every; ++k) {
            residuals.push_back(Array<T>::filled(size, 0));
            forward.residuals[k] = residuals.back().get();
        }
        for (int k = 0; k < shape_.signals && case_.every; ++k) {
            before.push_back(Array<T>::filled(forward.scale[k] ? size : 0, 0));
            if (forward.scale[k]) forward.before[k] = before.back().get();
        }
        for (int k = 0; k < shape_.states; ++k) {
            outcome.values.push_back(Array<T>::filled(state, UNTOUCHED));
            forward.final[k] = outcome.values.back().get();
        }
        run(level, forward);
        outcome.changed = changes_with_known(level, forward, outcome.values);
        if (!case_.every) return outcome;

        Backward<T> backward;
        static_cast<Problem<T>&>(backward) = forward;
        for (int k = 0; k < shape_.signals; ++k) {
            if (case_.some && k != shape_.hidden) continue;
            backward.d_signals[k] = d_signals_[k].get();
            backward.d_step[k] = case_.rows * case_.neurons;
            backward.d_row[k] = case_.neurons;
        }
        const auto gradient = [&](ptrdiff_t count) {
            outcome.gradients.push_back(Array<T>::filled(count, UNTOUCHED));
            return outcome.gradients.back().get();
        };
        for (int k = 0; k < shape_.states; ++k) {
            if (!case_.some) backward.d_final[k] = d_final_[k].get();
        }
        backward.d_input_weights = gradient(input_weights_.size());
        backward.d_biases = gradient(biases_.size());
        backward.d_recurrent_weights = gradient(recurrent_weights_.size());
        backward.d_neuron_weights = gradient(neuron_weights_.size());
        if (case_.want_x) {
            if (!case_.symbols) backward.d_x = gradient(case_.steps * case_.rows * case_.inputs);
            for (int k = 0; k < shape_.states && case_.state; ++k) backward.d_initial[k] = gradient(state);
        }
        run(level, backward);
        return outcome;
    }

    // Returns the number whose gradients the backward pass computes.
    double total(const Level& level) {
        const Outcome<T> outcome = (*this)(level, 1);
        double sum = 0;
        for (int k = 0; k < shape_.signals; ++k) {
            if (case_.some && k != shape_.hidden) continue;
            for (ptrdiff_t n = 0; n < d_signals_[k].size(); ++n) sum += double(outcome.values[k][n]) * d_signals_[k][n];
        }
        for (int k = 0; k < shape_.states && !case_.some; ++k) {
            const Array<T>& values = outcome.values[shape_.signals + k];
            for (ptrdiff_t n = 0; n < values.size(); ++n) sum += double(values[n]) * d_final_[k][n];
        }
        return sum;
    }

    // Returns the arrays that the gradients belong to, in the same order.
    std::vector<const Array<T>*> leaves() const {
        std::vector<const Array<T>*> arrays = {&input_weights_, &biases_, &recurrent_weights_, &neuron_weights_};
        if (!case_.want_x) return arrays;
        if (!case_.symbols) arrays.push_back(&x_);
        for (const auto& state : initial_) {
            if (case_.state) arrays.push_back(&state);
        }
        return arrays;
    }

    // Returns the index of entry k of a gradient in its array; the inputs have gaps.
    ptrdiff_t place(const Array<T>* leaf, ptrdiff_t k) const {
        if (leaf != &x_) return k;
        const ptrdiff_t row = k / case_.inputs;
        return row / case_.rows * x_step_ + row % case_.rows * x_row_ + k % case_.inputs;
    }

    static constexpr T UNTOUCHED = T(-12345);

private:
    // Returns how many numbers change when every step reads the hidden states that the run itself computed.
    double changes_with_known(const Level& level, Forward<T> forward, const std::vector<Array<T>>& expected) const {
        std::vector<Array<T>> values;
        for (const auto& array : expected) values.push_back(Array<T>::filled(array.size(), UNTOUCHED));
        for (int k = 0; k < shape_.signals; ++k) {
            if (forward.signals[k]) forward.signals[k] = values[k].get();
        }
        for (int k = 0; k < shape_.states; ++k) forward.final[k] = values[shape_.signals + k].get();
        forward.hidden = expected[shape_.hidden].get();
        forward.hidden_step = case_.rows * case_.neurons;
        forward.hidden_row = case_.neurons;
        run(level, forward);
        double count = 0;
        for (size_t k = 0; k < expected.size(); ++k) {
            for (ptrdiff_t n = 0; n < expected[k].size(); ++n) count += values[k][n] != expected[k][n];
        }
        return count;
    }

    void fill(Problem<T>& problem, int threads) const {
        problem.cell = case_.cell;
        problem.steps = case_.steps;
        problem.rows = case_.rows;
        problem.inputs = case_.inputs;
        problem.neurons = case_.neurons;
        problem.reverse = case_.reverse;
        problem.threads = threads;
        if (case_.symbols) {
            problem.ids = ids_.get();
            problem.id_step = case_.rows;
            problem.id_row = 1;
        } else {
            problem.x = x_.get();
            problem.x_step = x_step_;
            problem.x_row = x_row_;
        }
        problem.lengths = case_.lengths ? lengths_.get() : nullptr;
        problem.input_weights = input_weights_.get();
        problem.biases = biases_.get();
        problem.recurrent_weights = recurrent_weights_.get();
        problem.neuron_weights = neuron_weights_.get();
        // A drive without a matrix has index -1, as in Python.
        const int input_drives = shape_.input_alone + shape_.joined;
        for (int k = 0; k < shape_.drives(); ++k) {
            problem.input_order[k] = k < input_drives ? input_drives - 1 - k : -1;
            problem.recurrent_order[k] = k < shape_.input_alone ? -1 : k - shape_.input_alone;
        }
        for (int k = 0; k < shape_.states && case_.state; ++k) problem.initial[k] = initial_[k].get();
        problem.changed = case_.changes != 0;
        for (int k = 0; k < shape_.signals; ++k) {
            if (!case_.changes || k % 2) continue;
            problem.scale[k] = scale_[k].get();
            problem.shift[k] = shift_[k].get();
            problem.change_row[k] = case_.changes > 2 ? case_.neurons : 0;
            problem.change_step[k] = case_.changes > 2   ? case_.rows * case_.neurons
                                     : case_.changes > 1 ? case_.neurons
                                                         : 0;
        }
    }

    Case case_;
    const CellShape& shape_;
    ptrdiff_t x_step_ = 0, x_row_ = 0;
    Array<T> x_, input_weights_, biases_, recurrent_weights_, neuron_weights_;
    Array<int64_t> ids_, lengths_;
    std::vector<Array<T>> initial_, scale_, shift_, d_signals_, d_final_;
};

// Returns the largest difference of two results, relative to the largest number of their array or to 1.
template <class T, class U>
double difference(const std::vector<Array<T>>& actual, const std::vector<Array<U>>& expected) {
    double worst = 0;
    for (size_t k = 0; k < expected.size(); ++k) {
        double size = 1, apart = 0;
        for (ptrdiff_t n = 0; n < expected[k].size(); ++n) {
            size = std::fmax(size, std::fabs(double(expected[k][n])));
            const double distance = std::fabs(double(actual[k][n]) - double(expected[k][n]));
            apart = distance <= apart ? apart : distance;  // NaN is the largest
        }
        if (!(apart / size <= worst)) worst = apart / size;
    }
    return worst;
}

// Returns how many numbers of a result were never written.
template <class T>
double untouched(const Outcome<T>& outcome) {
    double count = 0;
    for (const auto* arrays : {&outcome.values, &outcome.gradients}) {
        for (const auto& array : *arrays) {
            for (ptrdiff_t n = 0; n < array.size(); ++n) count += array[n] == Exercise<T>::UNTOUCHED;
        }
    }
    return count;
}

int failures = 0;
long checks = 0;
double worst_double = 0, worst_float = 0, worst_slope = 0;

void expect(double difference, double allowed, const char* what, const std::string& where) {
    ++checks;
    if (difference <= allowed) return;
    if (++failures > 20) return;
    fprintf(stderr, "%s differ by %.3g, more than %.1g: %s\n", what, difference, allowed, where.c_str());
}

// Compares a few entries of every gradient with finite differences.
void check_slopes(Exercise<double>& exercise, const Outcome<double>& outcome, const Level& level,
                  const std::string& where) {
    const auto leaves = exercise.leaves();
    for (size_t k = 0; k < leaves.size(); ++k) {
        const ptrdiff_t count = outcome.gradients[k].size();
        for (ptrdiff_t entry : {ptrdiff_t(0), count / 2, count - 1}) {
            if (entry < 0 || entry >= count) continue;
            double& number = (*leaves[k])[exercise.place(leaves[k], entry)];
            const double before = number, step = 1e-5;
            number = before + step;
            const double above = exercise.total(level);
            number = before - step;
            const double below = exercise.total(level);
            number = before;
            const double slope = (above - below) / (2 * step), gradient = outcome.gradients[k][entry];
            const double apart = std::fabs(slope - gradient) / std::fmax(1, std::fabs(slope));
            worst_slope = std::fmax(worst_slope, apart);
            expect(apart, 1e-6, "a gradient and its finite difference", where);
        }
    }
}

void exercise(const Case& problem, const std::vector<const Level*>& levels, bool slopes) {
    Exercise<double> in_double(problem, *levels[0]);
    Exercise<float> in_float(problem, *levels[0]);
    const Outcome<double> first = in_double(*levels[0], 1);
    for (const Level* level : levels) {
        const Outcome<double> alone = in_double(*level, 1);
        const Outcome<float> alone_float = in_float(*level, 1);
        const std::string where = problem.text(*level, 1, 8), where_float = problem.text(*level, 1, 4);
        expect(untouched(alone) + untouched(alone_float), 0, "the numbers written and those requested", where);
        expect(alone.changed + alone_float.changed, 0, "runs with and without known hidden states", where);
        const double apart =
            std::fmax(difference(alone.values, first.values), difference(alone.gradients, first.gradients));
        worst_double = std::fmax(worst_double, apart);
        expect(apart, 1e-12, "the levels", where);
        const double values = difference(alone_float.values, first.values);
        const double gradients = difference(alone_float.gradients, first.gradients);
        worst_float = std::fmax(worst_float, std::fmax(values, gradients));
        expect(values, 1e-5, "float and double", where_float);
        expect(gradients, 1e-4, "the gradients of float and double", where_float);
        if (slopes) check_slopes(in_double, alone, *level, where);
        for (int threads = 2; threads <= 3; ++threads) {
            const Outcome<double> together = in_double(*level, threads);
            const Outcome<float> together_float = in_float(*level, threads);
            const std::string place = problem.text(*level, threads, 8);
            expect(together.changed + together_float.changed, 0, "runs with known hidden states", place);
            expect(difference(together.values, alone.values), 0, "the numbers of threads", place);
            expect(difference(together_float.values, alone_float.values), 0, "the numbers of threads (float)", place);
            expect(difference(together.gradients, alone.gradients), 1e-12, "gradients by several threads", place);
            expect(difference(together_float.gradients, alone_float.gradients), 1e-4,
                   "gradients by several threads (float)", place);
        }
    }
}

// A NaN in the inputs of one row must arrive in its hidden state, and in no other row: clipping must not hide it.
template <class T>
void check_nan(const Level& level, int cell) {
    const CellShape& shape = level.cells[cell];
    const ptrdiff_t T_ = 3, B = 2, I = 2, N = 5, size = T_ * B * N;
    Numbers numbers(static_cast<uint64_t>(cell));
    const int drives = shape.drives();
    const Array<T> x = Array<T>::drawn(T_ * B * I, numbers, 1), weights = Array<T>::drawn(drives * N * I, numbers, 1);
    const Array<T> biases = Array<T>::drawn(drives * N, numbers, 1), zeros = Array<T>::filled(drives * N * N, 0);
    const Array<T> neuron_weights = Array<T>::drawn(shape.parameters * N, numbers, 1);
    x[I] = T(NAN);  // row 1 at step 0
    Forward<T> forward;
    forward.cell = cell;
    forward.steps = T_, forward.rows = B, forward.inputs = I, forward.neurons = N;
    forward.x = x.get();
    forward.x_step = B * I, forward.x_row = I;
    forward.input_weights = weights.get();
    forward.biases = biases.get();
    forward.recurrent_weights = zeros.get();
    forward.neuron_weights = neuron_weights.get();
    for (int k = 0; k < drives; ++k) forward.input_order[k] = forward.recurrent_order[k] = k;
    std::vector<Array<T>> signals;
    for (int k = 0; k < shape.signals; ++k) {
        signals.push_back(Array<T>::filled(size, 0));
        forward.signals[k] = signals.back().get();
    }
    run(level, forward);
    double wrong = 0;
    for (ptrdiff_t n = 0; n < N; ++n) {
        wrong += !std::isnan(signals[shape.hidden][N + n]);
        for (const auto& signal : signals) wrong += std::isnan(signal[n]);
    }
    expect(wrong, 0, "NaN in inputs and NaN in hidden states", std::string(shape.name) + " of " + level.name);
}

}  // namespace

int main() {
    const std::vector<const Level*> levels = supported_levels();
    const ptrdiff_t neurons[] = {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65};
    const ptrdiff_t sizes[][3] = {{3, 2, 4}, {0, 2, 3}, {4, 0, 2}, {1, 1, 1}, {5, 9, 2}, {2, 17, 6}};  // T, B, I
    int turn = 0;
    for (int cell = 0; cell < levels[0]->count; ++cell) {
        for (const ptrdiff_t count : neurons) {
            const auto& size = sizes[turn % 6];
            // All flags of a case, in an order that meets each pair of values.
            const int bits = turn * 37 + turn / 6;
            ++turn;
            const Case problem = {cell,          size[0],        size[1],        size[2],           count,
                                 (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, turn % 4,
                                 turn % 5 != 0, (bits & 16) != 0, (bits & 32) != 0};
            // At the kink of a rectifier or a maximum, a finite difference is not the slope; these cases avoid kinks.
            exercise(problem, levels, problem.every && count <= 9 && size[1] <= 2);
        }
    }
    // Large enough to use several threads: divided by rows, by neurons, and with more steps than the window holds.
    for (int cell = 0; cell < levels[0]->count; ++cell) {
        const bool odd = cell % 2 != 0;
        exercise({cell, 40, 13, 5, 66, odd, true, odd, !odd, 0, true, true, false}, levels, false);
        exercise({cell, 30, 2, 7, 130, !odd, odd, !odd, odd, cell % 4, true, true, odd}, levels, false);
        exercise({cell, 50, 1, 9, 70, false, odd, false, odd, 0, odd, true, false}, levels, false);
    }
    for (const Level* level : levels) {
        for (int cell = 0; cell < level->count; ++cell) {
            check_nan<float>(*level, cell);
            check_nan<double>(*level, cell);
        }
    }
    release_memory();
    printf("%ld checks on %zu levels; levels differ by at most %.1g, float from double by %.1g, gradients from finite "
           "differences by %.1g\n",
           checks, levels.size(), worst_double, worst_float, worst_slope);
    if (failures) fprintf(stderr, "%d checks failed.\n", failures);
    return failures ? 1 : 0;
}
