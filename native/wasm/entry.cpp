// The functions of the WebAssembly module: numbers in, numbers out, for web/engine/kernels.ts.
//
// A request is one array of 32-bit words: sizes, strides and addresses in the linear memory, in the order in which
// `fill` reads them. Address 0 stands for a missing array. web/engine/kernel-request.ts writes the words.
#include <cstdint>

#include "memory.hpp"
#include "request.hpp"
#include "wasm/recovery.hpp"

#define GATESCOPE_EXPORT(NAME) extern "C" __attribute__((export_name(NAME)))

namespace gatescope {
namespace wasm {
extern const Level LEVEL;
}

namespace {

constexpr double MAX_WORKING_NUMBERS = double(1 << 29);  // of one working array; its size in bytes then has 32 bits

enum Status { DONE = 0, MALFORMED = 1, TOO_LARGE = 2 };

// Reads the words of a request one after the other.
class Words {
public:
    Words(const int32_t* words, int count) : words_(words), left_(count) {}

    int32_t next() { return left_-- > 0 ? *words_++ : 0; }
    template <class T>
    T* address() {
        return reinterpret_cast<T*>(static_cast<uintptr_t>(static_cast<uint32_t>(next())));
    }
    template <class T>
    void addresses(T* (&pointers)[MAX_SIGNALS]) {
        for (auto& pointer : pointers) pointer = address<T>();
    }
    template <class N>
    void numbers(N (&values)[MAX_SIGNALS]) {
        for (auto& value : values) value = next();
    }
    bool all_read() const { return left_ == 0; }

private:
    const int32_t* words_;
    int left_;
};

// Reads the part that both passes share.
template <class T>
void fill(Problem<T>& problem, Words& words) {
    problem.cell = words.next();
    problem.steps = words.next();
    problem.rows = words.next();
    problem.inputs = words.next();
    problem.neurons = words.next();
    problem.reverse = words.next() != 0;
    problem.x = words.address<const T>();
    problem.x_step = words.next();
    problem.x_row = words.next();
    problem.ids = words.address<const int64_t>();
    problem.id_step = words.next();
    problem.id_row = words.next();
    problem.lengths = words.address<const int64_t>();
    problem.input_weights = words.address<const T>();
    problem.biases = words.address<const T>();
    problem.recurrent_weights = words.address<const T>();
    problem.neuron_weights = words.address<const T>();
    words.numbers(problem.input_order);
    words.numbers(problem.recurrent_order);
    words.addresses(problem.initial);
    words.addresses(problem.signals);
    words.addresses(problem.residuals);
    words.addresses(problem.scale);
    words.addresses(problem.shift);
    words.numbers(problem.change_step);
    words.numbers(problem.change_row);
    words.addresses(problem.before);
    for (const T* scale : problem.scale) problem.changed = problem.changed || scale;
}

// Returns whether the request can be run; the working arrays of both passes are bounded by three products.
template <class T>
Status check(const Problem<T>& problem, const Words& words) {
    if (!words.all_read() || problem.cell < 0 || problem.cell >= wasm::LEVEL.count) return MALFORMED;
    if (problem.steps < 0 || problem.rows < 0 || problem.inputs < 0 || problem.neurons < 0) return MALFORMED;
    for (ptrdiff_t b = 0; problem.lengths && b < problem.rows; ++b) {
        if (problem.lengths[b] < 0 || problem.lengths[b] > problem.steps) return MALFORMED;
    }
    const double drives = wasm::LEVEL.cells[problem.cell].drives();
    const double padded = (problem.neurons + 64.0) * (drives + 1);
    const double lines[] = {3.0 * problem.rows + 256, problem.inputs + 64.0, problem.neurons + 64.0};
    for (const double count : lines) {
        if (count * padded > MAX_WORKING_NUMBERS) return TOO_LARGE;
    }
    return DONE;
}

template <class T>
Status forward(const int32_t* request, int count, void (*run)(const Forward<T>&)) {
    Words words(request, count);
    Forward<T> pass;
    fill(pass, words);
    words.addresses(pass.final);
    pass.hidden = words.address<const T>();
    pass.hidden_step = words.next();
    pass.hidden_row = words.next();
    const Status status = check(pass, words);
    if (status == DONE) run(pass);
    return status;
}

template <class T>
Status backward(const int32_t* request, int count, void (*run)(const Backward<T>&)) {
    Words words(request, count);
    Backward<T> pass;
    fill(pass, words);
    words.addresses(pass.d_signals);
    words.numbers(pass.d_step);
    words.numbers(pass.d_row);
    words.addresses(pass.d_final);
    words.addresses(pass.d_initial);
    pass.d_x = words.address<T>();
    pass.d_input_weights = words.address<T>();
    pass.d_biases = words.address<T>();
    pass.d_recurrent_weights = words.address<T>();
    pass.d_neuron_weights = words.address<T>();
    const Status status = check(pass, words);
    if (status == DONE) run(pass);
    return status;
}

}  // namespace

// Returns memory aligned to 64 bytes with undefined contents; 0 if there is none.
GATESCOPE_EXPORT("take") void* take(size_t bytes) { return take_memory_or_null(bytes); }

// Returns the memory of take(bytes).
GATESCOPE_EXPORT("give") void give(void* memory, size_t bytes) { give_memory(memory, bytes); }

// Must be called after an error of JavaScript has ended a call, with the stack pointer of before it.
GATESCOPE_EXPORT("recover") void recover() { recover_memory(); }

GATESCOPE_EXPORT("cell_count") int cell_count() { return wasm::LEVEL.count; }
// Return a text that ends with a zero byte.
GATESCOPE_EXPORT("cell_key") const char* cell_key(int cell) { return wasm::LEVEL.cells[cell].key; }

// Run a pass; return 0, 1 if the words are not a request, or 2 if the layer is too large for a 32-bit memory.
GATESCOPE_EXPORT("forward_float") int forward_float(const int32_t* request, int count) {
    return forward<float>(request, count, wasm::LEVEL.forward_float);
}
GATESCOPE_EXPORT("forward_double") int forward_double(const int32_t* request, int count) {
    return forward<double>(request, count, wasm::LEVEL.forward_double);
}
GATESCOPE_EXPORT("backward_float") int backward_float(const int32_t* request, int count) {
    return backward<float>(request, count, wasm::LEVEL.backward_float);
}
GATESCOPE_EXPORT("backward_double") int backward_double(const int32_t* request, int count) {
    return backward<double>(request, count, wasm::LEVEL.backward_double);
}

}  // namespace gatescope
