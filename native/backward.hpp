// The backward pass: from the gradients of a run's results to the gradients of its arguments.
//
// Steps are taken in the opposite order. The gradients of the drives are stored for a window of steps only: when the
// window is full, the contributions of all its steps to the gradients of the weights and inputs are computed together.
// (More than 400 lines, because every part of the pass uses the window.)
#pragma once

#include "blocks.hpp"

namespace gatescope {
namespace GATESCOPE_LEVEL {

template <class T>
class BackwardPass {
public:
    BackwardPass(const Backward<T>& request, const CellShape& cell, BackwardCell<T> equations)
        : request_(request), layer_(request, cell), equations_(equations), threads_(request.threads),
          division_(layer_, threads_.count(), 4), input_tile_(Tile<T>::of_width(layer_.input_vectors)),
          recurrent_tile_(Tile<T>::of_width(layer_.recurrent_vectors)) {}

    void run() {
        if (layer_.N == 0) return;
        threads_.keep(division_.threads);
        prepare();
        threads_.run([](void* self, int worker) { static_cast<BackwardPass*>(self)->work(worker); }, this);
    }

private:
    using V = Vector<T>;

    static constexpr double CACHE_BYTES = 5e5;  // smaller results are still in the processor's second-level cache

    // The arrays that the threads of a team share.
    struct Common {
        T* window;                // dL/d drive: (tile, slot, drive, vector, lane)
        T* carried[MAX_SIGNALS];  // dL/d state, (rows, padded neurons)
        T* d_input;               // (tile, input, input drives)
        T* d_bias;                // (tile, input drives)
        T* d_recurrent;           // (tile, neuron one step earlier, recurrent drives)
        T* d_parameters;          // (parameter, padded neurons)
    };

    struct Worker {
        Common common;
        ptrdiff_t* rows;
        const T** previous[MAX_SIGNALS];
        const T** later;       // for each row, the gradients of its drives one step later
        const T** inputs;      // the input of every slot of the window
        const T** hidden;      // h one step earlier, for every slot
        int64_t* ids;
        ptrdiff_t* places;         // step * B + row of every slot
        ptrdiff_t* signal_places;  // offset of each row's signals of this step
        T* block;
        const char** lines;
        ptrdiff_t used = 0;         // slots of the window that are filled
        ptrdiff_t later_begin = 0;  // the first slot of the step that was computed last
        bool first = true;          // the sums are still empty
    };

    void prepare() {
        const auto& p = request_;
        wide_ = static_cast<int>(smaller(layer_.B == 1 ? SINGLE_ROW_WIDTH : BATCH_WIDTH,
                                         divided_up(layer_.N, layer_.lanes)));
        back_ = Tile<T>::of_width(wide_);
        input_wide_ = static_cast<int>(smaller(4, divided_up(larger(1, layer_.I), layer_.lanes)));
        input_back_ = Tile<T>::of_width(input_wide_);
        const ptrdiff_t L = layer_.lanes;
        const ptrdiff_t column_size = wide_ * L * layer_.tiles * layer_.recurrent_vectors * L;
        packed_recurrent_ = take<T>(scratch_, columns(layer_.N, wide_) * column_size + 1);
        packed_input_ = p.d_x ? take<T>(scratch_, columns(layer_.I, input_wide_) * input_wide_ * L * layer_.tiles *
                                                      layer_.input_vectors * L + 1)
                              : nullptr;
        parameters_ = take<T>(scratch_, layer_.cell.parameters * layer_.padded + 1);
        zeros_ = take<T>(scratch_, larger(layer_.N, WIDEST * L) + L);
        for (ptrdiff_t n = 0; n < larger(layer_.N, WIDEST * L) + L; ++n) zeros_[n] = 0;
        division_.gather(layer_, scratch_);

        const ptrdiff_t rows = larger(1, division_.by_rows ? divided_up(layer_.B, division_.threads) : layer_.B);
        slots_ = larger(3 * rows, smaller(WINDOW_SLOTS / rows * rows, layer_.T_ * rows));
        Common common{};
        for (int w = 0; w < division_.threads; ++w) {
            if (w == 0 || division_.by_rows) common = make_common(rows);
            Worker& worker = workers_[w];
            worker.common = common;
            worker.rows = take<ptrdiff_t>(scratch_, layer_.B + 1);
            for (int k = 0; k < layer_.cell.states; ++k) worker.previous[k] = take<const T*>(scratch_, rows);
            worker.later = take<const T*>(scratch_, rows);
            worker.inputs = take<const T*>(scratch_, slots_);
            worker.hidden = take<const T*>(scratch_, slots_);
            worker.ids = take<int64_t>(scratch_, slots_);
            worker.places = take<ptrdiff_t>(scratch_, slots_);
            worker.signal_places = take<ptrdiff_t>(scratch_, rows);
            worker.block = take<T>(scratch_, MAX_BLOCK_ROWS * WIDEST * L);
            worker.lines = take<const char*>(scratch_, MAX_BLOCK_ROWS * 3 * MAX_SIGNALS * (WIDEST + 1));
        }
    }

    Common make_common(ptrdiff_t rows) {
        const ptrdiff_t L = layer_.lanes;
        Common common{};
        common.window = take<T>(scratch_, layer_.tiles * slots_ * layer_.width * L);
        // A tile may end in vectors without neurons, which no later step writes.
        for (ptrdiff_t s = 0; s < slots_; ++s) {
            T* drives = common.window + ((layer_.tiles - 1) * slots_ + s) * layer_.width * L;
            for (int w = 0; w < layer_.width; ++w) {
                if (layer_.filled(layer_.neuron_of(layer_.tiles - 1, w)) == 0) store(drives + w * L, V{});
            }
        }
        for (int k = 0; k < layer_.cell.states; ++k) common.carried[k] = take<T>(scratch_, rows * layer_.padded);
        if (layer_.any_input) {
            common.d_input = take<T>(scratch_, layer_.tiles * layer_.I * layer_.input_vectors * L + 1);
            common.d_bias = take<T>(scratch_, layer_.tiles * layer_.input_vectors * L);
        }
        if (layer_.any_recurrent) {
            common.d_recurrent = take<T>(scratch_, layer_.tiles * layer_.N * layer_.recurrent_vectors * L);
        }
        common.d_parameters = take<T>(scratch_, layer_.cell.parameters * layer_.padded + 1);
        for (ptrdiff_t n = 0; n < layer_.cell.parameters * layer_.padded; ++n) common.d_parameters[n] = 0;
        return common;
    }

    // How many tiles of `wide` vectors the columns of a matrix fill.
    ptrdiff_t columns(ptrdiff_t count, int wide) const { return divided_up(count, ptrdiff_t(wide) * layer_.lanes); }

    void pack(int worker) {
        const ptrdiff_t L = layer_.lanes;
        const auto recurrent = [&](int drive) { return layer_.recurrent_matrix(drive); };
        const auto input = [&](int drive) { return layer_.input_matrix(drive); };
        if (layer_.any_recurrent) {
            const ptrdiff_t size = wide_ * L * layer_.tiles * layer_.recurrent_vectors * L;
            const ptrdiff_t count = columns(layer_.N, wide_);
            for (ptrdiff_t c = count * worker / division_.threads; c < count * (worker + 1) / division_.threads; ++c) {
                layer_.pack_back(c * wide_ * L, wide_, layer_.first_recurrent, layer_.recurrent_vectors, layer_.N,
                                 recurrent, packed_recurrent_ + c * size);
            }
        }
        if (packed_input_ && layer_.any_input) {
            const ptrdiff_t size = input_wide_ * L * layer_.tiles * layer_.input_vectors * L;
            const ptrdiff_t count = columns(layer_.I, input_wide_);
            for (ptrdiff_t c = count * worker / division_.threads; c < count * (worker + 1) / division_.threads; ++c) {
                layer_.pack_back(c * input_wide_ * L, input_wide_, 0, layer_.input_vectors, layer_.I, input,
                                 packed_input_ + c * size);
            }
        }
        if (worker == 0) layer_.pack_parameters(parameters_);
    }

    void work(int k) {
        pack(k);
        division_.everyone->wait(k);
        Worker& worker = workers_[k];
        const Share share = division_.share(layer_, k, worker.rows);
        worker.used = 0;
        worker.first = true;
        ptrdiff_t active = request_.reverse ? share.count : 0, later = 0;
        for (ptrdiff_t at = layer_.T_ - 1; at >= 0; --at) {
            const ptrdiff_t t = layer_.step_at(at);
            active = share.active(layer_, t, active);
            if (worker.used + active > slots_) {
                add_up(worker, share);
                worker.used = 0;
            }
            if (active > 0) step(worker, share, t, active, smaller(later, active));
            later = active;
            share.team->wait(share.member);
            if (active > 0) begin_rows(worker, share, t, active);
        }
        add_up(worker, share);
        without_steps(share);
        division_.everyone->wait(k);
        unpack(k);
    }

    T* slot(const Worker& worker, ptrdiff_t tile, ptrdiff_t slot) const {
        return worker.common.window + (tile * slots_ + slot) * layer_.width * layer_.lanes;
    }

    // The first `continuing` of the `active` rows have a later step; the gradients of its drives are the last ones in
    // the window.
    void step(Worker& worker, const Share& share, ptrdiff_t t, ptrdiff_t active, ptrdiff_t continuing) {
        const ptrdiff_t before = request_.reverse ? t + 1 : t - 1, L = layer_.lanes, N = layer_.N;
        for (ptrdiff_t r = 0; r < active; ++r) {
            const ptrdiff_t b = share.rows[r];
            const bool first = t == layer_.first_step(b);
            for (int k = 0; k < layer_.cell.states; ++k) {
                const T* initial = request_.initial[k] ? request_.initial[k] + b * N : zeros_;
                worker.previous[k][r] =
                    first ? initial : request_.signals[layer_.cell.state_signal[k]] + (before * layer_.B + b) * N;
            }
            if (t == layer_.last_step(b)) begin_carrying(worker, share, r);
            const ptrdiff_t s = worker.used + r;
            worker.hidden[s] = layer_.hidden_state >= 0 ? worker.previous[layer_.hidden_state][r] : zeros_;
            worker.places[s] = t * layer_.B + b;
            worker.signal_places[r] = worker.places[s] * N;
            if (request_.ids) worker.ids[s] = request_.ids[t * request_.id_step + b * request_.id_row];
            else worker.inputs[s] = request_.x + t * request_.x_step + b * request_.x_row;
        }

        BackwardBlock<T> block{};
        block.layer = &layer_;
        block.request = &request_;
        block.step = t;
        block.parameters = parameters_;
        block.d_parameters = worker.common.d_parameters;
        block.hidden_pitch = wide_ * L;
        const ptrdiff_t vectors = layer_.vectors;
        const ptrdiff_t first_column = share.tile_begin * vectors / wide_;
        const ptrdiff_t last_column = smaller(columns(N, wide_), divided_up(share.tile_end * vectors, wide_));
        for (ptrdiff_t k = first_column; k < last_column; ++k) {
            const ptrdiff_t column = to_and_fro(t, k, first_column, last_column);
            for (ptrdiff_t begin = 0; begin < active;) {
                // Rows with and rows without a later step go into different blocks.
                const ptrdiff_t left = begin < continuing ? continuing - begin : active - begin;
                const ptrdiff_t count = Blocks(left, larger(back_.rows, EQUATION_ROWS)).size(0);
                Lines lines{worker.lines};
                if (PREFETCHES && layer_.bytes > CACHE_BYTES) {
                    list_read_lines(lines, column, t, before, share.rows + begin, count);
                }
                if (begin < continuing && layer_.any_recurrent) send_back(worker, column, begin, count, lines);
                else memset(worker.block, 0, static_cast<size_t>(count * wide_ * L) * sizeof(T));
                block.rows = count;
                block.row = share.rows + begin;
                block.places = worker.signal_places + begin;
                for (int k = 0; k < layer_.cell.states; ++k) {
                    block.previous[k] = worker.previous[k] + begin;
                    block.carried[k] = worker.common.carried[k] + begin * layer_.padded;
                }
                for (int v = 0; v < wide_; ++v) {
                    const ptrdiff_t vector = column * wide_ + v;
                    block.tile = vector / vectors;
                    block.vector = static_cast<int>(vector % vectors);
                    if (block.tile >= layer_.tiles || layer_.filled(vector * L) == 0) break;
                    block.hidden = worker.block + v * L;
                    block.drives = slot(worker, block.tile, worker.used + begin);
                    equations_(block);
                }
                begin += count;
            }
        }
        worker.later_begin = worker.used;
        worker.used += active;
    }

    // Lists the cache lines that the equations will read.
    void list_read_lines(Lines& lines, ptrdiff_t column, ptrdiff_t t, ptrdiff_t before, const ptrdiff_t* rows,
                 ptrdiff_t count) const {
        const ptrdiff_t neuron = column * wide_ * layer_.lanes;
        const ptrdiff_t end = smaller(layer_.N, neuron + ptrdiff_t(wide_) * layer_.lanes);
        const bool has_before = before >= 0 && before < layer_.T_;
        for (ptrdiff_t r = 0; r < count; ++r) {
            const ptrdiff_t place = (t * layer_.B + rows[r]) * layer_.N;
            const ptrdiff_t place_before = (before * layer_.B + rows[r]) * layer_.N;
            for (ptrdiff_t n = neuron; n < end; n += 64 / sizeof(T)) {
                for (int k = 0; k < layer_.cell.signals; ++k) {
                    if (k != layer_.cell.hidden) lines.add(request_.signals[k] + place + n);
                    if (!request_.d_signals[k]) continue;
                    lines.add(request_.d_signals[k] + t * request_.d_step[k] + rows[r] * request_.d_row[k] + n);
                }
                for (int k = 0; k < layer_.cell.states && has_before; ++k) {
                    if (k == layer_.hidden_state) continue;
                    lines.add(request_.signals[layer_.cell.state_signal[k]] + place_before + n);
                }
            }
        }
        const ptrdiff_t chunks = layer_.tiles * divided_up(ptrdiff_t(layer_.recurrent_vectors) * layer_.lanes, CHUNK);
        lines.chunk = divided_up(lines.count, larger(1, chunks));
    }

    // Writes dL/dh, as it arrives through the recurrent drives of `count` rows, into the worker's block: one tile of
    // neurons wide.
    void send_back(Worker& worker, ptrdiff_t column, ptrdiff_t begin, ptrdiff_t count, Lines& lines) {
        const ptrdiff_t L = layer_.lanes;
        for (ptrdiff_t r = 0; r < count; ++r) worker.later[r] = slot(worker, 0, worker.later_begin + begin + r);
        const ptrdiff_t size = wide_ * L * layer_.tiles * layer_.recurrent_vectors * L;
        Source<T> source = {worker.later,
                                  layer_.first_recurrent * L,
                                  layer_.tiles,
                                  layer_.recurrent_vectors * L,
                                  slots_ * layer_.width * L,
                                  packed_recurrent_ + column * size};
        const Blocks blocks(count, back_.rows);
        for (ptrdiff_t b = 0; b < blocks.count; ++b) {
            source.rows = worker.later + blocks.begin(b);
            back_.multiply[blocks.size(b) - 1](&source, 1, nullptr, worker.block + blocks.begin(b) * wide_ * L,
                                               wide_ * L, lines);
        }
    }

    // At the last step of a row, the gradient carried back starts as the gradient of its final state.
    void begin_carrying(Worker& worker, const Share& share, ptrdiff_t r) {
        const ptrdiff_t begin = share.tile_begin * layer_.vectors * layer_.lanes;
        const ptrdiff_t end = share.tile_end * layer_.vectors * layer_.lanes;
        for (int k = 0; k < layer_.cell.states; ++k) {
            T* carried = worker.common.carried[k] + r * layer_.padded;
            const T* d_final = request_.d_final[k] ? request_.d_final[k] + share.rows[r] * layer_.N : nullptr;
            for (ptrdiff_t n = begin; n < end; ++n) carried[n] = d_final && n < layer_.N ? d_final[n] : 0;
        }
    }

    // Writes the gradient of the initial state of the rows whose first step this was.
    void begin_rows(Worker& worker, const Share& share, ptrdiff_t t, ptrdiff_t active) {
        const ptrdiff_t L = layer_.lanes, N = layer_.N;
        const ptrdiff_t begin = share.tile_begin * layer_.vectors * L;
        const ptrdiff_t end = smaller(N, share.tile_end * layer_.vectors * L);
        for (ptrdiff_t r = 0; r < active; ++r) {
            const ptrdiff_t b = share.rows[r];
            if (t != layer_.first_step(b)) continue;
            for (int k = 0; k < layer_.cell.states; ++k) {
                T* target = request_.d_initial[k];
                if (!target) continue;
                target += b * N;
                const T* carried = worker.common.carried[k] + r * layer_.padded;
                for (ptrdiff_t n = begin; n < end; ++n) target[n] = carried[n];
                if (k != layer_.hidden_state || !layer_.any_recurrent) continue;
                for (ptrdiff_t column = begin / (wide_ * L); column * wide_ * L < end; ++column) {
                    Lines none{worker.lines};
                    send_back(worker, column, r, 1, none);
                    const ptrdiff_t from = column * wide_ * L;
                    const ptrdiff_t to = smaller(end, from + wide_ * L);
                    for (ptrdiff_t n = from; n < to; ++n) target[n] += worker.block[n - from];
                }
            }
        }
    }

    // Adds the contributions of the steps of the window to the gradients of weights and inputs.
    void add_up(Worker& worker, const Share& share) {
        const ptrdiff_t L = layer_.lanes, I = layer_.I, N = layer_.N;
        const ptrdiff_t pitch = layer_.width * L;
        const ptrdiff_t input_size = layer_.input_vectors * L, recurrent_size = layer_.recurrent_vectors * L;
        const Common& common = worker.common;
        for (ptrdiff_t tile = share.tile_begin; tile < share.tile_end; ++tile) {
            const T* drives = slot(worker, tile, 0);
            if (layer_.any_input && request_.d_biases) {
                T* sum = common.d_bias + tile * input_size;
                for (int w = 0; w < layer_.input_vectors; ++w) {
                    V total = worker.first ? V{} : load(sum + w * L);
                    for (ptrdiff_t s = 0; s < worker.used; ++s) total += load(drives + s * pitch + w * L);
                    store(sum + w * L, total);
                }
            }
            if (layer_.any_input && request_.d_input_weights) {
                T* sum = common.d_input + tile * I * input_size;
                if (request_.ids) add_up_symbols(worker, drives, sum);
                else add_up_products(input_tile_, worker.inputs, I, drives, worker, sum, input_size);
            }
            if (layer_.any_recurrent && request_.d_recurrent_weights) {
                add_up_products(recurrent_tile_, worker.hidden, N, drives + layer_.first_recurrent * L, worker,
                                common.d_recurrent + tile * N * recurrent_size, recurrent_size);
            }
        }
        if (request_.d_x) {
            send_to_inputs(worker, share);
            share.team->wait(share.member);  // other threads still read these drives, so they must not be replaced yet
        }
        worker.first = false;
    }

    void add_up_products(const Tile<T>& tile, const T* const* read, ptrdiff_t count, const T* drives,
                         const Worker& worker, T* sum, ptrdiff_t size) {
        if (parts_of(tile.width) == 2) {  // the halves have room for more rows
            const Tile<T> half = Tile<T>::of_width(tile.width / 2);
            const ptrdiff_t offset = half.width * layer_.lanes;
            add_up_products(half, read, count, drives, worker, sum, size);
            add_up_products(half, read, count, drives + offset, worker, sum + offset, size);
            return;
        }
        const Blocks blocks(count, tile.rows);
        for (ptrdiff_t b = 0; b < blocks.count; ++b) {
            tile.accumulate[blocks.size(b) - 1](read, blocks.begin(b), worker.used, drives,
                                                ptrdiff_t(layer_.width) * layer_.lanes, sum + blocks.begin(b) * size,
                                                size, worker.first);
        }
    }

    void add_up_symbols(const Worker& worker, const T* drives, T* sum) {
        const ptrdiff_t L = layer_.lanes, size = layer_.input_vectors * L;
        if (worker.first) memset(sum, 0, static_cast<size_t>(layer_.I * size) * sizeof(T));
        for (ptrdiff_t s = 0; s < worker.used; ++s, drives += layer_.width * L) {
            if (worker.ids[s] < 0 || worker.ids[s] >= layer_.I) continue;
            T* row = sum + worker.ids[s] * size;
            for (int w = 0; w < layer_.input_vectors; ++w) store(row + w * L, load(row + w * L) + load(drives + w * L));
        }
    }

    // Writes dL/dx of the steps of the window; the threads of a team divide the columns.
    void send_to_inputs(Worker& worker, const Share& share) {
        const ptrdiff_t L = layer_.lanes, I = layer_.I, wide = input_wide_ * L;
        const ptrdiff_t count = columns(I, input_wide_), size = wide * layer_.tiles * layer_.input_vectors * L;
        const Blocks blocks(worker.used, input_back_.rows);
        const T* rows[MAX_BLOCK_ROWS];
        for (ptrdiff_t c = count * share.member / share.team->size; c < count * (share.member + 1) / share.team->size;
             ++c) {
            for (ptrdiff_t b = 0; b < blocks.count; ++b) {
                const ptrdiff_t begin = blocks.begin(b), many = blocks.size(b);
                for (ptrdiff_t r = 0; r < many; ++r) rows[r] = slot(worker, 0, begin + r);
                const Source<T> source = {rows, 0, layer_.any_input ? layer_.tiles : 0, layer_.input_vectors * L,
                                          slots_ * layer_.width * L, packed_input_ + c * size};
                Lines none{worker.lines};
                input_back_.multiply[many - 1](&source, 1, nullptr, worker.block, wide, none);
                for (ptrdiff_t r = 0; r < many; ++r) {
                    memcpy(request_.d_x + worker.places[begin + r] * I + c * wide, worker.block + r * wide,
                           static_cast<size_t>(smaller(wide, I - c * wide)) * sizeof(T));
                }
            }
        }
    }

    // Rows without steps pass the gradient of their final state to their initial state; the inputs after the end of a
    // row have gradient 0.
    void without_steps(const Share& share) {
        if (share.member != 0) return;
        const size_t row_bytes = static_cast<size_t>(layer_.N) * sizeof(T);
        for (ptrdiff_t r = 0; r < share.count; ++r) {
            const ptrdiff_t b = share.rows[r], length = layer_.length(b);
            for (int k = 0; k < layer_.cell.states && length == 0; ++k) {
                if (!request_.d_initial[k]) continue;
                T* target = request_.d_initial[k] + b * layer_.N;
                if (request_.d_final[k]) memcpy(target, request_.d_final[k] + b * layer_.N, row_bytes);
                else memset(target, 0, row_bytes);
            }
            for (ptrdiff_t t = length; request_.d_x && t < layer_.T_; ++t) {
                memset(request_.d_x + (t * layer_.B + b) * layer_.I, 0, static_cast<size_t>(layer_.I) * sizeof(T));
            }
        }
    }

    // Writes the sums of all teams in the layouts of the weights.
    void unpack(int worker) {
        const int teams = division_.team_count();
        const T *d_input[MAX_THREADS], *d_bias[MAX_THREADS], *d_recurrent[MAX_THREADS];
        for (int k = 0; k < teams; ++k) {
            d_input[k] = workers_[k].common.d_input;
            d_bias[k] = workers_[k].common.d_bias;
            d_recurrent[k] = workers_[k].common.d_recurrent;
        }
        const ptrdiff_t N = layer_.N, I = layer_.I, input_size = layer_.input_vectors * layer_.lanes;
        const ptrdiff_t recurrent_size = layer_.recurrent_vectors * layer_.lanes;
        const auto& p = request_;
        const ptrdiff_t end = layer_.tiles * (worker + 1) / division_.threads;
        for (ptrdiff_t tile = layer_.tiles * worker / division_.threads; tile < end; ++tile) {
            if (layer_.any_input && p.d_input_weights) {
                layer_.unpack(tile, 0, layer_.input_vectors, I, d_input, teams, tile * I * input_size,
                              [&](int drive) { return p.d_input_weights + p.input_order[drive] * N * I; });
            }
            if (layer_.any_input && p.d_biases) {
                layer_.unpack(tile, 0, layer_.input_vectors, 1, d_bias, teams, tile * input_size,
                              [&](int drive) { return p.d_biases + p.input_order[drive] * N; });
            }
            if (layer_.any_recurrent && p.d_recurrent_weights) {
                layer_.unpack(tile, layer_.first_recurrent, layer_.recurrent_vectors, N, d_recurrent, teams,
                              tile * N * recurrent_size,
                              [&](int drive) { return p.d_recurrent_weights + p.recurrent_order[drive] * N * N; });
            }
        }
        if (worker != 0 || !p.d_neuron_weights) return;
        for (int k = 0; k < layer_.cell.parameters; ++k) {
            for (ptrdiff_t n = 0; n < N; ++n) {
                T sum = 0;
                for (int team = 0; team < teams; ++team) {
                    sum += workers_[team].common.d_parameters[k * layer_.padded + n];
                }
                p.d_neuron_weights[k * N + n] = sum;
            }
        }
    }

    static constexpr ptrdiff_t WINDOW_SLOTS = 128;  // rows of all steps of the window together

    const Backward<T>& request_;
    Layer<T> layer_;
    BackwardCell<T> equations_;
    Threads threads_;
    Division<T> division_;
    Tile<T> input_tile_, recurrent_tile_;  // as in the forward pass
    Tile<T> back_, input_back_;            // for the gradients of the hidden state and of the inputs
    int wide_ = 1, input_wide_ = 1;        // vectors in these
    ptrdiff_t slots_ = 0;                  // in the window
    Scratch scratch_;
    T *packed_recurrent_ = nullptr, *packed_input_ = nullptr, *parameters_ = nullptr, *zeros_ = nullptr;
    Worker workers_[MAX_THREADS];
};

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
