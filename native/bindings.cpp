// The Python interface of the kernels. Arrays are passed as addresses; gatescope/engine/native.py has checked them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "levels.hpp"
#include "memory.hpp"
#include "request.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace gatescope;

namespace {

std::atomic<const Level*> active_level{supported_levels().back()};

std::vector<std::string> levels() {
    std::vector<std::string> names;
    for (const Level* level : supported_levels()) names.push_back(level->name);
    return names;
}

void use_level(const std::string& name) {
    for (const Level* level : supported_levels()) {
        if (name == level->name) {
            active_level = level;
            return;
        }
    }
    throw std::invalid_argument("The level: expected one that this processor has, got '" + name + "'. See levels().");
}

using Address = uintptr_t;

// A generated struct of cells.hpp by its index, and for each of its drives the index of its weights (-1: none).
struct Cell {
    int index;
    CellShape shape;
    std::vector<int> input_order, recurrent_order;

    Cell(const std::string& key, std::vector<int> input, std::vector<int> recurrent)
        : index(-1), shape{}, input_order(std::move(input)), recurrent_order(std::move(recurrent)) {
        const Level& level = *active_level.load();
        for (int k = 0; k < level.count; ++k) {
            if (key == level.cells[k].key) index = k;
        }
        if (index < 0) {
            throw std::invalid_argument("The equations: expected the key of a generated struct, got " + key + ".");
        }
        shape = level.cells[index];
        const size_t drives = static_cast<size_t>(shape.drives());
        if (input_order.size() != drives || recurrent_order.size() != drives) {
            throw std::invalid_argument("The orders of the drives: expected one entry for each drive of the struct.");
        }
    }
};

// An intervention: number of the signal, scale, shift, values before the change, stride of a step, stride of a row.
using Change = std::tuple<int, Address, Address, Address, ptrdiff_t, ptrdiff_t>;
// An array, its stride of a step and its stride of a row.
using Strided = std::tuple<Address, ptrdiff_t, ptrdiff_t>;

template <class T>
T* at(Address address) {
    return reinterpret_cast<T*>(address);
}

template <class T>
void set_pointers(const std::vector<Address>& addresses, T* (&pointers)[MAX_SIGNALS]) {
    for (size_t k = 0; k < addresses.size() && k < MAX_SIGNALS; ++k) pointers[k] = at<T>(addresses[k]);
}

// Fills the part of a request that both passes share; weights are input weights, biases, recurrent and neuron weights.
template <class T>
void fill(Problem<T>& problem, const Cell& cell, const std::vector<ptrdiff_t>& sizes, bool reverse, int threads,
          const Strided& x, const Strided& ids, Address lengths, const std::vector<Address>& weights,
          const std::vector<Address>& initial, const std::vector<Address>& signals,
          const std::vector<Address>& residuals, const std::vector<Change>& changes) {
    problem.cell = cell.index;
    problem.steps = sizes.at(0);
    problem.rows = sizes.at(1);
    problem.inputs = sizes.at(2);
    problem.neurons = sizes.at(3);
    problem.reverse = reverse;
    problem.threads = threads;
    problem.x = at<T>(std::get<0>(x));
    problem.x_step = std::get<1>(x);
    problem.x_row = std::get<2>(x);
    problem.ids = at<int64_t>(std::get<0>(ids));
    problem.id_step = std::get<1>(ids);
    problem.id_row = std::get<2>(ids);
    problem.lengths = at<int64_t>(lengths);
    problem.input_weights = at<T>(weights.at(0));
    problem.biases = at<T>(weights.at(1));
    problem.recurrent_weights = at<T>(weights.at(2));
    problem.neuron_weights = at<T>(weights.at(3));
    for (int k = 0; k < cell.shape.drives(); ++k) {
        problem.input_order[k] = cell.input_order[k];
        problem.recurrent_order[k] = cell.recurrent_order[k];
    }
    set_pointers(initial, problem.initial);
    set_pointers(signals, problem.signals);
    set_pointers(residuals, problem.residuals);
    problem.changed = !changes.empty();
    for (const auto& [signal, scale, shift, before, step, row] : changes) {
        problem.scale[signal] = at<T>(scale);
        problem.shift[signal] = at<T>(shift);
        problem.before[signal] = at<T>(before);
        problem.change_step[signal] = step;
        problem.change_row[signal] = row;
    }
}

// Runs the forward pass of request.hpp; sizes are T, B, I, N, and address 0 stands for a missing array.
template <class T>
void forward(const Cell& cell, const std::vector<ptrdiff_t>& sizes, bool reverse, int threads, const Strided& x,
             const Strided& ids, Address lengths, const std::vector<Address>& weights,
             const std::vector<Address>& initial, const std::vector<Address>& signals,
             const std::vector<Address>& residuals, const std::vector<Change>& changes,
             const std::vector<Address>& final_states, const Strided& hidden) {
    Forward<T> request;
    fill<T>(request, cell, sizes, reverse, threads, x, ids, lengths, weights, initial, signals, residuals, changes);
    set_pointers(final_states, request.final);
    request.hidden = at<T>(std::get<0>(hidden));
    request.hidden_step = std::get<1>(hidden);
    request.hidden_row = std::get<2>(hidden);
    if constexpr (sizeof(T) == 4) active_level.load()->forward_float(request);
    else active_level.load()->forward_double(request);
}

// Runs the backward pass of request.hpp; d_weights are the gradients of `weights`, in the same order.
template <class T>
void backward(const Cell& cell, const std::vector<ptrdiff_t>& sizes, bool reverse, int threads, const Strided& x,
              const Strided& ids, Address lengths, const std::vector<Address>& weights,
              const std::vector<Address>& initial, const std::vector<Address>& signals,
              const std::vector<Address>& residuals, const std::vector<Change>& changes,
              const std::vector<Strided>& d_signals, const std::vector<Address>& d_final, Address d_x,
              const std::vector<Address>& d_initial, const std::vector<Address>& d_weights) {
    Backward<T> request;
    fill<T>(request, cell, sizes, reverse, threads, x, ids, lengths, weights, initial, signals, residuals, changes);
    for (size_t k = 0; k < d_signals.size() && k < MAX_SIGNALS; ++k) {
        request.d_signals[k] = at<T>(std::get<0>(d_signals[k]));
        request.d_step[k] = std::get<1>(d_signals[k]);
        request.d_row[k] = std::get<2>(d_signals[k]);
    }
    set_pointers(d_final, request.d_final);
    request.d_x = at<T>(d_x);
    set_pointers(d_initial, request.d_initial);
    request.d_input_weights = at<T>(d_weights.at(0));
    request.d_biases = at<T>(d_weights.at(1));
    request.d_recurrent_weights = at<T>(d_weights.at(2));
    request.d_neuron_weights = at<T>(d_weights.at(3));
    if constexpr (sizeof(T) == 4) active_level.load()->backward_float(request);
    else active_level.load()->backward_double(request);
}

// Returns a tensor whose memory goes back to the pool with its last reference.
template <class T>
nb::ndarray<nb::pytorch, T, nb::ndim<3>> buffer(size_t steps, size_t rows, size_t neurons) {
    struct Buffer {
        void* memory;
        size_t bytes;
    };
    const size_t bytes = steps * rows * neurons * sizeof(T);
    Buffer* buffer = new Buffer{take_memory(bytes), bytes};
    nb::capsule owner(buffer, [](void* pointer) noexcept {
        Buffer* buffer = static_cast<Buffer*>(pointer);
        give_memory(buffer->memory, buffer->bytes);
        delete buffer;
    });
    return nb::ndarray<nb::pytorch, T, nb::ndim<3>>(buffer->memory, {steps, rows, neurons}, owner);
}

// Runs the multiply-adds of the level on all threads until the time is over; returns operations per second.
double peak(int threads, double seconds) {
    using clock = std::chrono::steady_clock;
    const auto start = clock::now();
    double operations = 0, elapsed = 0;
    while (elapsed < seconds) {
        struct Counts {
            double operations[MAX_THREADS] = {};
        } counts;
        Threads team(threads);
        team.run(
            [](void* context, int worker) {
                static_cast<Counts*>(context)->operations[worker] = active_level.load()->multiply_adds(200000);
            },
            &counts);
        for (double of_thread : counts.operations) operations += of_thread;
        elapsed = std::chrono::duration<double>(clock::now() - start).count();
    }
    return operations / elapsed;
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "The kernels of the native engine.";
    nb::set_leak_warnings(false);  // a tensor may live until the interpreter ends
    const nb::call_guard<nb::gil_scoped_release> without_gil;
    nb::class_<Cell>(module, "Cell")
        .def(nb::init<const std::string&, std::vector<int>, std::vector<int>>(), nb::arg("key"),
             nb::arg("input_order"), nb::arg("recurrent_order"));
    module.def("keys", [] {
        std::vector<std::string> keys;
        const Level& level = *active_level.load();
        for (int k = 0; k < level.count; ++k) keys.push_back(level.cells[k].key);
        return keys;
    }, "Return the keys of the equations that structs were generated for.");
    module.def("forward_float", &forward<float>, without_gil);
    module.def("forward_double", &forward<double>, without_gil);
    module.def("backward_float", &backward<float>, without_gil);
    module.def("backward_double", &backward<double>, without_gil);
    module.def("buffer_float", &buffer<float>, "Return a tensor of undefined numbers from the pool.");
    module.def("buffer_double", &buffer<double>, "Return a tensor of undefined numbers from the pool.");
    module.def("release", &release_memory, "Return the pool's memory to the system; return its size in bytes.");
    module.def("levels", &levels, "Return the instruction-set levels that this processor can run, the fastest last.");
    module.def("level", [] { return std::string(active_level.load()->name); }, "Return the level that is used.");
    module.def("use_level", &use_level, nb::arg("name"), "Use another level, as tests do.");
    module.def("share_openmp", [](Address parallel, Address thread_number, Address thread_count) {
        share_openmp(at<void>(parallel), at<void>(thread_number), at<void>(thread_count));
    }, "Run on the threads of an OpenMP library that is loaded; see threads.hpp.");
    module.def("peak", &peak, nb::arg("threads"), nb::arg("seconds"), without_gil,
               "Measure how many multiplications and additions the threads can do in a second.");
}
