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
          division_(layer_, threads_.count(), 1), heard_(Tile<T>::of_width(layer_.heard)),
          echoed_(Tile<T>::of_width(layer_.echoed)) {}

    void run() {
        if (layer_.B == 0 || layer_.N == 0) return;
        threads_.keep(division_.threads);
        prepare();
        threads_.run([](void* self, int worker) { static_cast<ForwardPass*>(self)->work(worker); }, this);
    }

private:
    using V = Vector<T>;

    static constexpr double OUT_OF_CACHE = 8e6;  // of bytes: less stays in the processor's last cache until it is read
    static constexpr ptrdiff_t TOGETHER = 48;    // rows of several steps at a time, where no step waits for another

    struct Worker {
        ptrdiff_t* rows;            // of the share
        ptrdiff_t* members;         // which of the batch each row that is computed now is
        ptrdiff_t* places;          // where its signals begin
        ptrdiff_t* symbols;         // the row of the table that its input stands for
        const T** inputs;           // its input
        const T** echo_starts;      // the rows of the block, from the drives on that hear the hidden state
        const char** lines;
        const T** starts;           // where its drives begin: a symbol's row, or what was computed ahead
        const T** previous[MOST];   // its states
        T* passing[MOST];           // two steps of the states that are not kept, (2, rows, N)
        T* ahead;                   // (tile, slot, drives that hear the input)
        T* block;
    };

    void prepare() {
        const ptrdiff_t table_rows = layer_.problem.ids ? layer_.I + 1 : layer_.I;
        packed_input_ = take<T>(scratch_, layer_.tiles * larger(1, table_rows) * layer_.heard * layer_.lanes + 1);
        packed_echo_ = take<T>(scratch_, layer_.tiles * layer_.N * layer_.echoed * layer_.lanes + 1);
        packed_bias_ = take<T>(scratch_, layer_.tiles * layer_.heard * layer_.lanes + 1);
        parameters_ = take<T>(scratch_, layer_.cell.parameters * layer_.padded + 1);
        zeros_ = take<T>(scratch_, larger(layer_.N, layer_.I) + layer_.lanes);
        for (ptrdiff_t n = 0; n < larger(layer_.N, layer_.I) + layer_.lanes; ++n) zeros_[n] = 0;
        division_.gather(layer_, scratch_);

        for (int k = 0; k < layer_.cell.states; ++k) {
            passed_[k] = !request_.signals[layer_.cell.state_signal[k]] && !is_known(k);
        }
        // With few rows, the products with the inputs of many steps are computed together.
        const ptrdiff_t most_rows = division_.by_rows ? divided_up(layer_.B, division_.threads) : layer_.B;
        ahead_steps_ = 0;
        span_ = 1;
        if (request_.hidden && !request_.changed && !passes()) {
            span_ = smaller(layer_.T_, larger(1, TOGETHER / most_rows));
        } else if (layer_.problem.x && layer_.any_input && most_rows < heard_.rows) {
            ahead_steps_ = smaller(layer_.T_, larger(1, 64 / most_rows));
        }
        T* shared_passing[MOST] = {};
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
            worker.block = take<T>(scratch_, MOST_ROWS * layer_.width * layer_.lanes);
            worker.lines = take<const char*>(scratch_, MOST_ROWS * MOST * (layer_.vectors + 1));
            worker.echo_starts = take<const T*>(scratch_, MOST_ROWS);
            for (int r = 0; r < MOST_ROWS; ++r) {
                worker.echo_starts[r] = worker.block + (r * layer_.width + layer_.echo_from) * layer_.lanes;
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
                shared_ahead = take<T>(scratch_, layer_.tiles * ahead_steps_ * most_rows * layer_.heard * layer_.lanes);
            }
            worker.ahead = shared_ahead;
        }
        ahead_rows_ = most_rows;
    }

    void pack(int worker) {
        const ptrdiff_t begin = layer_.tiles * worker / division_.threads;
        const ptrdiff_t end = layer_.tiles * (worker + 1) / division_.threads;
        const auto input = [&](int drive) { return layer_.input_matrix(drive); };
        const auto echo = [&](int drive) { return layer_.recurrent_matrix(drive); };
        const ptrdiff_t heard = ptrdiff_t(layer_.heard) * layer_.lanes;
        for (ptrdiff_t tile = begin; tile < end; ++tile) {
            if (layer_.any_input) {
                T* bias = packed_bias_ + tile * heard;
                layer_.pack(tile, 0, layer_.heard, 1, [&](int drive) { return layer_.bias(drive); }, bias);
                const ptrdiff_t table_rows = layer_.problem.ids ? layer_.I + 1 : layer_.I;
                T* table = packed_input_ + tile * table_rows * heard;
                layer_.pack(tile, 0, layer_.heard, layer_.I, input, table);
                if (layer_.problem.ids) {  // a symbol's row has the bias in it; the last row is that of no symbol
                    for (ptrdiff_t k = 0; k < layer_.I; ++k) {
                        for (ptrdiff_t n = 0; n < heard; ++n) table[k * heard + n] += bias[n];
                    }
                    memcpy(table + layer_.I * heard, bias, heard * sizeof(T));
                }
            }
            if (layer_.any_echo) {
                layer_.pack(tile, layer_.echo_from, layer_.echoed, layer_.N, echo,
                            packed_echo_ + tile * layer_.N * layer_.echoed * layer_.lanes);
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

    // The drives' share of the input, for some steps together.
    void look_ahead(Worker& worker, const Share& share, ptrdiff_t at) {
        const ptrdiff_t steps = smaller(ahead_steps_, layer_.T_ - at), slots = steps * share.count;
        for (ptrdiff_t s = 0; s < steps; ++s) {
            for (ptrdiff_t r = 0; r < share.count; ++r) {
                worker.inputs[s * share.count + r] =
                    request_.x + layer_.step_at(at + s) * request_.x_step + share.rows[r] * request_.x_row;
            }
        }
        const ptrdiff_t size = ptrdiff_t(layer_.heard) * layer_.lanes;
        const Blocks blocks(slots, heard_.rows);
        for (ptrdiff_t tile = share.tile_begin; tile < share.tile_end; ++tile) {
            for (ptrdiff_t b = 0; b < blocks.count; ++b) {
                T* target = worker.ahead + (tile * ahead_steps_ * ahead_rows_ + blocks.begin(b)) * size;
                const T* starts[MOST_ROWS];
                for (ptrdiff_t r = 0; r < blocks.size(b); ++r) starts[r] = packed_bias_ + tile * size;
                const Source<T> source = {worker.inputs + blocks.begin(b), 0, 1, layer_.I, 0,
                                          packed_input_ + tile * layer_.I * size};
                Lines none{nullptr};
                heard_.multiply[blocks.size(b) - 1](&source, 1, starts, target, size, none);
            }
        }
    }

    // What the steps of a span read and where they write, for every row that has them; returns how many those are.
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
        const bool echo = layer_.any_echo && (at > 0 || span_ > 1 || layer_.state_given());
        const ptrdiff_t size = ptrdiff_t(layer_.heard) * layer_.lanes;
        const T** hidden = layer_.hidden_state < 0 ? nullptr : worker.previous[layer_.hidden_state];

        ForwardBlock<T> block{};
        block.layer = &layer_;
        block.step = t;
        block.drives = worker.block;
        block.parameters = parameters_;
        const int narrowest = static_cast<int>(smaller(layer_.any_input ? heard_.rows : MOST_ROWS,
                                                       layer_.any_echo ? echoed_.rows : MOST_ROWS));
        const Blocks blocks(active, narrowest);
        const bool hear = layer_.any_input && request_.x && !ahead_steps_;
        const bool together = layer_.heard == layer_.width && layer_.echoed == layer_.width;  // every drive is a sum
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
            int products = 0, echo_product = 0;
            if (hear) sources[products++] = {worker.inputs, 0, 1, layer_.I, 0, weights};
            if (echo) {
                echo_product = products;
                sources[products++] = {hidden, 0, 1, layer_.N, 0,
                                       packed_echo_ + tile * layer_.N * layer_.echoed * layer_.lanes};
            }
            for (ptrdiff_t b = 0; b < blocks.count; ++b) {
                const ptrdiff_t begin = blocks.begin(b), count = blocks.size(b);
                Lines lines{worker.lines};
                if (layer_.bytes > OUT_OF_CACHE) {
                    to_write(lines, tile, worker.places + begin, count);
                    const ptrdiff_t chunks = (echo ? divided_up(layer_.N, CHUNK) : 0) +
                                             (hear && (together || !echo) ? divided_up(layer_.I, CHUNK) : 0);
                    lines.chunk = divided_up(lines.count, larger(1, chunks));
                }
                // Only the pointers change from block to block. (The structures are never copied here: reading again
                // what was just written in smaller pieces would make the processor wait for all earlier blocks.)
                if (hear) sources[0].rows = worker.inputs + begin;
                if (echo) sources[echo_product].rows = hidden + begin;
                if (together) {
                    heard_.multiply[count - 1](sources, products, worker.starts + begin, worker.block, pitch, lines);
                } else {
                    Lines none{worker.lines};
                    if (layer_.any_input) {
                        heard_.multiply[count - 1](sources, hear ? 1 : 0, worker.starts + begin, worker.block, pitch,
                                                   echo ? none : lines);
                    }
                    for (ptrdiff_t r = 0; r < count; ++r) {
                        for (int w = layer_.heard; w < layer_.width; ++w) {
                            store(worker.block + r * pitch + w * layer_.lanes, V{});
                        }
                    }
                    if (echo) {
                        echoed_.multiply[count - 1](sources + echo_product, 1, worker.echo_starts,
                                                    worker.block + layer_.echo_from * layer_.lanes, pitch, lines);
                    }
                }
                block.tile = tile;
                block.rows = count;
                block.row = worker.members + begin;
                block.places = worker.places + begin;
                for (int k = 0; k < layer_.cell.states; ++k) {
                    block.previous[k] = worker.previous[k] + begin;
                    block.passing[k] = passed_[k] ? passing(worker, share, k, t) + begin * layer_.N : nullptr;
                }
                equations_(block);
            }
        }
    }

    // The cache lines that the equations will write.
    void to_write(Lines& lines, ptrdiff_t tile, const ptrdiff_t* places, ptrdiff_t count) const {
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

    // Where a state of a row stands after a step.
    const T* state(const Worker& worker, const Share& share, int k, ptrdiff_t t, ptrdiff_t r) const {
        if (is_known(k)) return request_.hidden + t * request_.hidden_step + share.rows[r] * request_.hidden_row;
        if (passed_[k]) return passing(worker, share, k, t) + r * layer_.N;
        return request_.signals[layer_.cell.state_signal[k]] + (t * layer_.B + share.rows[r]) * layer_.N;
    }

    // Final states, and 0 behind the end of every sequence.
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
    Tile<T> heard_, echoed_;
    Scratch scratch_;
    T *packed_input_ = nullptr, *packed_echo_ = nullptr, *packed_bias_ = nullptr, *parameters_ = nullptr;
    T* zeros_ = nullptr;
    bool passed_[MOST] = {};  // states that are not kept: only the last two steps of them exist
    ptrdiff_t ahead_steps_ = 0, ahead_rows_ = 0;
    ptrdiff_t span_ = 1;  // steps that are computed together: more than one where the hidden states are known
    Worker workers_[MOST_THREADS];
};

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
