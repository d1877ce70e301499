// The forward pass: the one time loop of all cells.
#pragma once

#include "blocks.hpp"

namespace gatescope {
namespace GATESCOPE_LEVEL {

template <class T>
class ForwardPass {
public:
    ForwardPass(const Forward<T>& request, const CellShape& cell, ForwardCell<T> equations)
        : request_(request), layer_(request, cell), equations_(equations), threads_(request.threads),
          division_(layer_, threads_.count(), 1), input_tile_(Tile<T>::of_width(layer_.input_vectors)),
          recurrent_tile_(Tile<T>::of_width(layer_.recurrent_vectors)), ahead_parts_(parts_of(layer_.input_vectors)),
          ahead_tile_(Tile<T>::of_width(layer_.input_vectors / ahead_parts_)) {}

    void run() {
        if (layer_.B == 0 || layer_.N == 0) return;
        threads_.keep(division_.threads);
        prepare();
        threads_.run([](void* self, int worker) { static_cast<ForwardPass*>(self)->work(worker); }, this);
    }

private:
    using V = Vector<T>;

    static constexpr double CACHE_BYTES = 8e6;  // smaller results stay in the processor's last-level cache
    static constexpr ptrdiff_t SPAN_ROWS = 48;  // rows of all steps that are computed together when h is known

    struct Worker {
        ptrdiff_t* rows;            // the rows of the share
        ptrdiff_t* members;         // batch row of each row that is computed now
        ptrdiff_t* places;          // offset of its signals
        ptrdiff_t* symbols;         // table row of its input symbol
        const T** inputs;           // its input vector
        const T** recurrent_starts; // first recurrent drive of each row of the block
        const char** lines;
        const T** starts;                 // where its drives start: bias, row of a symbol, or product computed ahead
        const T** previous[MAX_SIGNALS];  // its states one step earlier
        T* passing[MAX_SIGNALS];          // the last two steps of states that are not returned, (2, rows, N)
        T* ahead;                         // (tile, slot, input drives)
        T* block;
    };

    void prepare() {
        const ptrdiff_t table_rows = layer_.problem.ids ? layer_.I + 1 : layer_.I;
        const ptrdiff_t input_size = layer_.input_vectors * layer_.lanes;
        packed_input_ = take<T>(scratch_, layer_.tiles * larger(1, table_rows) * input_size + 1);
        packed_recurrent_ = take<T>(scratch_, layer_.tiles * layer_.N * layer_.recurrent_vectors * layer_.lanes + 1);
        packed_bias_ = take<T>(scratch_, layer_.tiles * input_size + 1);
        parameters_ = take<T>(scratch_, layer_.cell.parameters * layer_.padded + 1);
        zeros_ = take<T>(scratch_, larger(layer_.N, layer_.I) + layer_.lanes);
        for (ptrdiff_t n = 0; n < larger(layer_.N, layer_.I) + layer_.lanes; ++n) zeros_[n] = 0;
        division_.gather(layer_, scratch_);

        for (int k = 0; k < layer_.cell.states; ++k) {
            passed_[k] = !request_.signals[layer_.cell.state_signal[k]] && !is_known(k);
        }
        // With few rows, the input products of many steps are computed together.
        const ptrdiff_t most_rows = division_.by_rows ? divided_up(layer_.B, division_.threads) : layer_.B;
        ahead_steps_ = 0;
        span_ = 1;
        if (request_.hidden && !request_.changed && !passes()) {
            span_ = smaller(layer_.T_, larger(1, SPAN_ROWS / most_rows));
        } else if (layer_.problem.x && layer_.any_input && most_rows < ahead_tile_.rows) {
            ahead_steps_ = smaller(layer_.T_, larger(1, 64 / most_rows));
        }
        T* shared_passing[MAX_SIGNALS] = {};
        T* shared_ahead = nullptr;
        for (int w = 0; w < division_.threads; ++w) {
            Worker& worker = workers_[w];
            worker.rows = take<ptrdiff_t>(scratch_, layer_.B);
            const ptrdiff_t most = larger(layer_.B, span_ * most_rows);
            worker.members = take<ptrdiff_t>(scratch_, most);
            worker.places = take<ptrdiff_t>(scratch_, most);
            worker.symbols = take<ptrdiff_t>(scratch_, most);
            worker.inputs = take<const T*>(scratch_, larger(most, ahead_steps_ * most_rows));
            worker.starts = take<const T*>(scratch_, most);
            worker.block = take<T>(scratch_, MAX_BLOCK_ROWS * layer_.width * layer_.lanes);
            worker.lines = take<const char*>(scratch_, MAX_BLOCK_ROWS * MAX_SIGNALS * (layer_.vectors + 1));
            worker.recurrent_starts = take<const T*>(scratch_, MAX_BLOCK_ROWS);
            for (int r = 0; r < MAX_BLOCK_ROWS; ++r) {
                worker.recurrent_starts[r] = worker.block + (r * layer_.width + layer_.first_recurrent) * layer_.lanes;
            }
            const bool first = w == 0 || division_.by_rows;
            for (int k = 0; k < layer_.cell.states; ++k) {
                worker.previous[k] = take<const T*>(scratch_, most);
                if (passed_[k] && first) {
                    const ptrdiff_t rows = division_.by_rows ? most_rows + 1 : layer_.B;
                    shared_passing[k] = take<T>(scratch_, 2 * rows * layer_.N + layer_.lanes);
                }
                worker.passing[k] = shared_passing[k];
            }
            if (ahead_steps_ && first) {
                shared_ahead = take<T>(scratch_, layer_.tiles * ahead_steps_ * most_rows * input_size);
            }
            worker.ahead = shared_ahead;
        }
        ahead_rows_ = most_rows;
    }

    void pack(int worker) {
        const ptrdiff_t begin = layer_.tiles * worker / division_.threads;
        const ptrdiff_t end = layer_.tiles * (worker + 1) / division_.threads;
        const auto input = [&](int drive) { return layer_.input_matrix(drive); };
        const auto recurrent = [&](int drive) { return layer_.recurrent_matrix(drive); };
        const ptrdiff_t input_size = ptrdiff_t(layer_.input_vectors) * layer_.lanes;
        for (ptrdiff_t tile = begin; tile < end; ++tile) {
            if (layer_.any_input) {
                T* bias = packed_bias_ + tile * input_size;
                layer_.pack(tile, 0, layer_.input_vectors, 1, [&](int drive) { return layer_.bias(drive); }, bias);
                const ptrdiff_t table_rows = layer_.problem.ids ? layer_.I + 1 : layer_.I;
                T* table = packed_input_ + tile * table_rows * input_size;
                const int parts = ahead_steps_ ? ahead_parts_ : 1, width = layer_.input_vectors / parts;
                for (int part = 0; part < parts; ++part) {
                    layer_.pack(tile, part * width, width, layer_.I, input,
                                table + part * width * layer_.lanes * layer_.I);
                }
                if (layer_.problem.ids) {  // rows of symbols include the bias; the last row is for unknown symbols
                    for (ptrdiff_t k = 0; k < layer_.I; ++k) {
                        for (ptrdiff_t n = 0; n < input_size; ++n) table[k * input_size + n] += bias[n];
                    }
                    memcpy(table + layer_.I * input_size, bias, input_size * sizeof(T));
                }
            }
            if (layer_.any_recurrent) {
                layer_.pack(tile, layer_.first_recurrent, layer_.recurrent_vectors, layer_.N, recurrent,
                            packed_recurrent_ + tile * layer_.N * layer_.recurrent_vectors * layer_.lanes);
            }
        }
        if (worker == 0) layer_.pack_parameters(parameters_);
    }

    void work(int k) {
        pack(k);
        division_.everyone->wait(k);
        const Share share = division_.share(layer_, k, workers_[k].rows);
        Worker& worker = workers_[k];
        ptrdiff_t active = request_.reverse ? 0 : share.count;
        for (ptrdiff_t at = 0; at < layer_.T_; at += span_) {
            if (ahead_steps_ && at % ahead_steps_ == 0) look_ahead(worker, share, at);
            const ptrdiff_t rows = gather(worker, share, at, active);
            if (rows > 0) compute(worker, share, at, rows);
            share.team->wait(share.member);
        }
        finish(worker, share);
    }

    // Computes the input products of the next steps together.
    void look_ahead(Worker& worker, const Share& share, ptrdiff_t at) {
        const ptrdiff_t steps = smaller(ahead_steps_, layer_.T_ - at), slots = steps * share.count;
        for (ptrdiff_t s = 0; s < steps; ++s) {
            for (ptrdiff_t r = 0; r < share.count; ++r) {
                worker.inputs[s * share.count + r] =
                    request_.x + layer_.step_at(at + s) * request_.x_step + share.rows[r] * request_.x_row;
            }
        }
        const ptrdiff_t size = ptrdiff_t(layer_.input_vectors) * layer_.lanes;
        const Blocks blocks(slots, ahead_tile_.rows);
        for (ptrdiff_t k = share.tile_begin * ahead_parts_; k < share.tile_end * ahead_parts_; ++k) {
            const ptrdiff_t tile = k / ahead_parts_, offset = k % ahead_parts_ * ahead_tile_.width * layer_.lanes;
            for (ptrdiff_t b = 0; b < blocks.count; ++b) {
                T* target = worker.ahead + (tile * ahead_steps_ * ahead_rows_ + blocks.begin(b)) * size + offset;
                const T* starts[MAX_BLOCK_ROWS];
                for (ptrdiff_t r = 0; r < blocks.size(b); ++r) starts[r] = packed_bias_ + tile * size + offset;
                const Source<T> source = {worker.inputs + blocks.begin(b), 0, 1, layer_.I, 0,
                                          packed_input_ + (tile * size + offset) * layer_.I};
                Lines none{nullptr};
                ahead_tile_.multiply[blocks.size(b) - 1](&source, 1, starts, target, size, none);
            }
        }
    }

    // Collects what the steps of a span read and where they write, for every row that has these steps; returns how many
    // (step, row) pairs these are.
    ptrdiff_t gather(Worker& worker, const Share& share, ptrdiff_t at, ptrdiff_t& active) const {
        ptrdiff_t slot = 0;
        for (ptrdiff_t s = at; s < smaller(layer_.T_, at + span_); ++s) {
            const ptrdiff_t t = layer_.step_at(s), before = request_.reverse ? t + 1 : t - 1;
            active = share.active(layer_, t, active);
            for (ptrdiff_t r = 0; r < active; ++r, ++slot) {
                const ptrdiff_t b = share.rows[r];
                const bool first = t == layer_.first_step(b);
                worker.members[slot] = b;
                worker.places[slot] = (t * layer_.B + b) * layer_.N;
                for (int k = 0; k < layer_.cell.states; ++k) {
                    if (first) {
                        worker.previous[k][slot] = request_.initial[k] ? request_.initial[k] + b * layer_.N : zeros_;
                    } else {
                        worker.previous[k][slot] = state(worker, share, k, before, r);
                    }
                }
                if (request_.ids) {
                    const int64_t id = request_.ids[t * request_.id_step + b * request_.id_row];
                    worker.symbols[slot] = id >= 0 && id < layer_.I ? id : layer_.I;
                } else if (request_.x && !ahead_steps_) {
                    worker.inputs[slot] = request_.x + t * request_.x_step + b * request_.x_row;
                }
            }
        }
        return slot;
    }

    void compute(Worker& worker, const Share& share, ptrdiff_t at, ptrdiff_t active) {
        const ptrdiff_t t = layer_.step_at(at);
        const bool recurrent = layer_.any_recurrent && (at > 0 || span_ > 1 || layer_.state_given());
        const ptrdiff_t size = ptrdiff_t(layer_.input_vectors) * layer_.lanes;
        const T** hidden = layer_.hidden_state < 0 ? nullptr : worker.previous[layer_.hidden_state];

        ForwardBlock<T> block{};
        block.layer = &layer_;
        block.step = t;
        block.drives = worker.block;
        block.parameters = parameters_;
        const int narrowest = static_cast<int>(smaller(layer_.any_input ? input_tile_.rows : MAX_BLOCK_ROWS,
                                                       layer_.any_recurrent ? recurrent_tile_.rows : MAX_BLOCK_ROWS));
        const Blocks blocks(active, narrowest);
        const bool reads_input = layer_.any_input && request_.x && !ahead_steps_;
        const bool all_joined = layer_.input_vectors == layer_.width && layer_.recurrent_vectors == layer_.width;
        const ptrdiff_t pitch = ptrdiff_t(layer_.width) * layer_.lanes;
        for (ptrdiff_t k = share.tile_begin; k < share.tile_end; ++k) {
            const ptrdiff_t tile = to_and_fro(at / span_, k, share.tile_begin, share.tile_end);
            const T* weights = packed_input_ + tile * (request_.ids ? layer_.I + 1 : layer_.I) * size;
            for (ptrdiff_t r = 0; r < active; ++r) {
                if (ahead_steps_) {
                    const ptrdiff_t slot = at % ahead_steps_ * share.count + r;
                    worker.starts[r] = worker.ahead + (tile * ahead_steps_ * ahead_rows_ + slot) * size;
                } else if (request_.ids) {
                    worker.starts[r] = weights + worker.symbols[r] * size;
                } else {
                    worker.starts[r] = packed_bias_ + tile * size;
                }
            }
            Source<T> sources[2];
            int products = 0, recurrent_product = 0;
            if (reads_input) sources[products++] = {worker.inputs, 0, 1, layer_.I, 0, weights};
            if (recurrent) {
                recurrent_product = products;
                sources[products++] = {hidden, 0, 1, layer_.N, 0,
                                       packed_recurrent_ + tile * layer_.N * layer_.recurrent_vectors * layer_.lanes};
            }
            ptrdiff_t waiting = 0;  // rows whose drives are computed, and whose equations are not
            for (ptrdiff_t b = 0; b < blocks.count; ++b) {
                const ptrdiff_t begin = blocks.begin(b), count = blocks.size(b);
                T* target = worker.block + waiting * pitch;
                Lines lines{worker.lines};
                if (PREFETCHES && layer_.bytes > CACHE_BYTES) {
                    list_written_lines(lines, tile, worker.places + begin, count);
                    const ptrdiff_t chunks = (recurrent ? divided_up(layer_.N, CHUNK) : 0) +
                                             (reads_input && (all_joined || !recurrent) ? divided_up(layer_.I, CHUNK)
                                                                                        : 0);
                    lines.chunk = divided_up(lines.count, larger(1, chunks));
                }
                // Only the pointers change from block to block. The structures are not copied: a copy would read memory
                // that was just written in smaller pieces, and the processor would wait for all earlier blocks.
                if (reads_input) sources[0].rows = worker.inputs + begin;
                if (recurrent) sources[recurrent_product].rows = hidden + begin;
                if (all_joined) {
                    input_tile_.multiply[count - 1](sources, products, worker.starts + begin, target, pitch, lines);
                } else {
                    Lines none{worker.lines};
                    if (layer_.any_input) {
                        input_tile_.multiply[count - 1](sources, reads_input ? 1 : 0, worker.starts + begin, target,
                                                        pitch, recurrent ? none : lines);
                    }
                    for (ptrdiff_t r = 0; r < count; ++r) {
                        for (int w = layer_.input_vectors; w < layer_.width; ++w) {
                            store(target + r * pitch + w * layer_.lanes, V{});
                        }
                    }
                    if (recurrent) {
                        recurrent_tile_.multiply[count - 1](
                            sources + recurrent_product, 1, worker.recurrent_starts + waiting,
                            target + layer_.first_recurrent * layer_.lanes, pitch, lines);
                    }
                }
                waiting += count;
                if (b + 1 < blocks.count && waiting + narrowest <= EQUATION_ROWS) continue;
                const ptrdiff_t first = begin + count - waiting;
                block.tile = tile;
                block.rows = waiting;
                block.row = worker.members + first;
                block.places = worker.places + first;
                for (int k = 0; k < layer_.cell.states; ++k) {
                    block.previous[k] = worker.previous[k] + first;
                    block.passing[k] = passed_[k] ? passing(worker, share, k, t) + first * layer_.N : nullptr;
                }
                equations_(block);
                waiting = 0;
            }
        }
    }

    // Lists the cache lines that the equations will write.
    void list_written_lines(Lines& lines, ptrdiff_t tile, const ptrdiff_t* places, ptrdiff_t count) const {
        const ptrdiff_t neuron = layer_.neuron_of(tile, 0);
        const ptrdiff_t end = smaller(layer_.N, neuron + ptrdiff_t(layer_.vectors) * layer_.lanes);
        for (ptrdiff_t r = 0; r < count; ++r) {
            for (int k = 0; k < layer_.cell.signals; ++k) {
                if (!request_.signals[k]) continue;
                for (ptrdiff_t n = neuron; n < end; n += 64 / sizeof(T)) lines.add(request_.signals[k] + places[r] + n);
            }
        }
    }

    bool is_known(int k) const { return k == layer_.hidden_state && request_.hidden; }

    bool passes() const {
        for (int k = 0; k < layer_.cell.states; ++k) {
            if (passed_[k]) return true;
        }
        return false;
    }

    T* passing(const Worker& worker, const Share& share, int k, ptrdiff_t t) const {
        return worker.passing[k] + (t & 1) * share.count * layer_.N;
    }

    // Returns where a state of a row is stored after a step.
    const T* state(const Worker& worker, const Share& share, int k, ptrdiff_t t, ptrdiff_t r) const {
        if (is_known(k)) return request_.hidden + t * request_.hidden_step + share.rows[r] * request_.hidden_row;
        if (passed_[k]) return passing(worker, share, k, t) + r * layer_.N;
        return request_.signals[layer_.cell.state_signal[k]] + (t * layer_.B + share.rows[r]) * layer_.N;
    }

    // Writes the final states, and 0 after the end of every sequence.
    void finish(Worker& worker, const Share& share) {
        if (share.member != 0) return;
        for (ptrdiff_t r = 0; r < share.count; ++r) {
            const ptrdiff_t b = share.rows[r], length = layer_.length(b);
            for (int k = 0; k < layer_.cell.states; ++k) {
                if (!request_.final[k]) continue;
                const T* source = length ? state(worker, share, k, layer_.last_step(b), r)
                                  : request_.initial[k] ? request_.initial[k] + b * layer_.N
                                                        : zeros_;
                memcpy(request_.final[k] + b * layer_.N, source, layer_.N * sizeof(T));
            }
            for (ptrdiff_t t = length; t < layer_.T_; ++t) {
                const ptrdiff_t place = (t * layer_.B + b) * layer_.N;
                for (int k = 0; k < layer_.cell.signals; ++k) {
                    if (request_.signals[k]) memset(request_.signals[k] + place, 0, layer_.N * sizeof(T));
                }
            }
        }
    }

    const Forward<T>& request_;
    Layer<T> layer_;
    ForwardCell<T> equations_;
    Threads threads_;
    Division<T> division_;
    Tile<T> input_tile_, recurrent_tile_;
    int ahead_parts_;     // a wide tile is computed ahead in two halves, which have room for more rows
    Tile<T> ahead_tile_;
    Scratch scratch_;
    T *packed_input_ = nullptr, *packed_recurrent_ = nullptr, *packed_bias_ = nullptr, *parameters_ = nullptr;
    T* zeros_ = nullptr;
    bool passed_[MAX_SIGNALS] = {};  // states that are not returned: only their last two steps are stored
    ptrdiff_t ahead_steps_ = 0, ahead_rows_ = 0;
    ptrdiff_t span_ = 1;  // steps that are computed together: more than one when the hidden states are known
    Worker workers_[MAX_THREADS];
};

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
