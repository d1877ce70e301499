// Shared by the forward and the backward pass of a layer: its sizes in tiles, its packed weights, the division of work.
//
// Neurons are cut into tiles of a few vectors, and all drives of the neurons of a tile lie side by side, so that one
// pass over the weights gives everything that the equations of these neurons need. A vector of a tile is addressed by
// (drive * vectors + vector).
#pragma once

#include "matrix.hpp"
#include "memory.hpp"
#include "request.hpp"
#include "threads.hpp"

namespace gatescope {
namespace GATESCOPE_LEVEL {

static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
static inline ptrdiff_t divided_up(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

// Threads that compute different neurons of the same rows; they wait for each other after every step.
struct Team {
    struct alignas(64) Counter {
        int64_t arrived;
    };
    Counter* counters;
    int size;

    // `memory` has room for one counter of each member.
    Team(Counter* memory, int members) : counters(memory), size(members) {
        for (int k = 0; k < members; ++k) counters[k].arrived = 0;
    }

    void wait(int member) {
        if (size == 1) return;
        const int64_t mine = counters[member].arrived + 1;
        __atomic_store_n(&counters[member].arrived, mine, __ATOMIC_RELEASE);
        for (int other = 0; other < size; ++other) {
            for (int spins = 0; __atomic_load_n(&counters[other].arrived, __ATOMIC_ACQUIRE) < mine; ++spins) {
                if (spins > 5000) {
                    rest_thread();
                    continue;
                }
#if defined(__x86_64__)
                __builtin_ia32_pause();
#endif
            }
        }
    }
};

// Every other step reads the weights backwards: the ones that were used last are still in the cache.
static inline ptrdiff_t to_and_fro(ptrdiff_t step, ptrdiff_t k, ptrdiff_t begin, ptrdiff_t end) {
    return step & 1 ? end - 1 - (k - begin) : k;
}

template <class T>
T* take(Scratch& scratch, ptrdiff_t count) {
    return static_cast<T*>(scratch.take(static_cast<size_t>(count) * sizeof(T)));
}

template <class T>
struct Layer {
    const Problem<T>& problem;
    const CellShape& cell;
    ptrdiff_t T_, B, I, N;
    int lanes = WIDTH<T>;
    int vectors;               // vectors of neurons in a tile
    int width;                 // vectors of all drives in a tile
    int input_vectors;         // vectors of the input drives in a tile, the first ones
    int recurrent_vectors;     // vectors of the recurrent drives in a tile, the last ones
    int first_recurrent;       // the first of these
    int hidden_state = -1;     // index of h among the states; -1: h is not a state
    ptrdiff_t tiles, padded;   // `padded`: neurons, filled up to whole tiles
    bool any_input, any_recurrent;  // whether the cell has input drives, recurrent drives
    double bytes;              // size of all signals

    Layer(const Problem<T>& p, const CellShape& c)
        : problem(p), cell(c), T_(p.steps), B(p.rows), I(p.inputs), N(p.neurons) {
        const ptrdiff_t needed = divided_up(N, lanes);
        vectors = 1;
        while (2 * vectors * cell.drives() <= (B == 1 ? SINGLE_ROW_WIDTH : BATCH_WIDTH)) vectors *= 2;
        while (vectors > 1 && vectors / 2 >= needed) vectors /= 2;
        width = cell.drives() * vectors;
        input_vectors = (cell.input_alone + cell.joined) * vectors;
        recurrent_vectors = (cell.joined + cell.recurrent_alone) * vectors;
        first_recurrent = cell.input_alone * vectors;
        tiles = divided_up(N, ptrdiff_t(vectors) * lanes);
        padded = tiles * vectors * lanes;
        bytes = static_cast<double>(T_) * B * N * sizeof(T) * cell.signals;
        any_input = input_vectors > 0;
        any_recurrent = recurrent_vectors > 0;
        for (int k = 0; k < cell.states; ++k) {
            if (cell.state_signal[k] == cell.hidden) hidden_state = k;
        }
    }

    // The k-th step to be computed.
    ptrdiff_t step_at(ptrdiff_t k) const { return problem.reverse ? T_ - 1 - k : k; }
    ptrdiff_t length(ptrdiff_t b) const { return problem.lengths ? smaller(problem.lengths[b], T_) : T_; }
    ptrdiff_t first_step(ptrdiff_t b) const { return problem.reverse ? length(b) - 1 : 0; }
    ptrdiff_t last_step(ptrdiff_t b) const { return problem.reverse ? 0 : length(b) - 1; }

    int drive_of(int vector) const { return vector / vectors; }
    // The first neuron of one vector of a tile.
    ptrdiff_t neuron_of(ptrdiff_t tile, int vector) const {
        return (tile * vectors + vector % vectors) * lanes;
    }
    int filled(ptrdiff_t neuron) const {
        return static_cast<int>(larger(0, smaller(lanes, N - neuron)));
    }

    const T* input_matrix(int drive) const { return problem.input_weights + problem.input_order[drive] * N * I; }
    const T* recurrent_matrix(int drive) const {
        return problem.recurrent_weights + problem.recurrent_order[drive] * N * N;
    }
    const T* bias(int drive) const { return problem.biases + problem.input_order[drive] * N; }

    bool state_given() const {
        for (int k = 0; k < cell.states; ++k) {
            if (problem.initial[k]) return true;
        }
        return false;
    }

    // target[parameter][neuron], filled up to whole tiles with 0.
    void pack_parameters(T* target) const {
        for (int k = 0; k < cell.parameters; ++k) {
            for (ptrdiff_t n = 0; n < padded; ++n) {
                target[k * padded + n] = n < N ? problem.neuron_weights[k * N + n] : 0;
            }
        }
    }

    // target[k][w] of one tile = matrix(drive of w)[neuron][k], where `matrix` has `columns` columns.
    template <class Matrix>
    void pack(ptrdiff_t tile, int from, int count, ptrdiff_t columns, Matrix matrix, T* target) const {
        const ptrdiff_t pitch = ptrdiff_t(count) * lanes;
        for (int w = 0; w < count; ++w) {
            const ptrdiff_t neuron = neuron_of(tile, from + w);
            const int used_lanes = filled(neuron);
            const T* source = matrix(drive_of(from + w)) + neuron * columns;
            T* out = target + w * lanes;
            if (used_lanes < lanes) {
                for (ptrdiff_t k = 0; k < columns; ++k) store(out + k * pitch, Vector<T>{});
            }
            for (ptrdiff_t start = 0; start < columns; start += 16) {
                const ptrdiff_t end = smaller(start + 16, columns);
                for (int lane = 0; lane < used_lanes; ++lane) {
                    for (ptrdiff_t k = start; k < end; ++k) out[k * pitch + lane] = source[lane * columns + k];
                }
            }
        }
    }

    // The inverse of `pack`: matrix(drive of w)[neuron][k] = the sum over `parts` of part[k][w].
    template <class Matrix>
    void unpack(ptrdiff_t tile, int from, int count, ptrdiff_t columns, const T* const* parts, int part_count,
                ptrdiff_t offset, Matrix matrix) const {
        const ptrdiff_t pitch = ptrdiff_t(count) * lanes;
        for (int w = 0; w < count; ++w) {
            const ptrdiff_t neuron = neuron_of(tile, from + w);
            const int used_lanes = filled(neuron);
            T* target = matrix(drive_of(from + w)) + neuron * columns;
            for (ptrdiff_t start = 0; start < columns; start += 16) {
                const ptrdiff_t end = smaller(start + 16, columns);
                T block[16 * WIDTH<T>];
                for (ptrdiff_t k = start; k < end; ++k) {
                    Vector<T> sum{};
                    for (int part = 0; part < part_count; ++part) {
                        sum += load(parts[part] + offset + k * pitch + w * lanes);
                    }
                    store(block + (k - start) * lanes, sum);
                }
                for (int lane = 0; lane < used_lanes; ++lane) {
                    for (ptrdiff_t k = start; k < end; ++k) {
                        target[lane * columns + k] = block[(k - start) * lanes + lane];
                    }
                }
            }
        }
    }

    // target[tile][drive * vectors + vector][lane][column] for the columns of one output tile of `wide` vectors:
    // the layout in which gradients are sent from the drives back to the inputs or the hidden state.
    template <class Matrix>
    void pack_back(ptrdiff_t column, int wide, int from, int count, ptrdiff_t columns, Matrix matrix,
                   T* target) const {
        for (ptrdiff_t tile = 0; tile < tiles; ++tile) {
            for (int w = 0; w < count; ++w) {
                const ptrdiff_t neuron = neuron_of(tile, from + w);
                const int used_lanes = filled(neuron);
                const T* source = matrix(drive_of(from + w)) + neuron * columns + column;
                for (int lane = 0; lane < lanes; ++lane) {
                    for (int v = 0; v < wide; ++v, target += lanes) {
                        const int left = static_cast<int>(larger(0, columns - column - v * lanes));
                        const T* numbers = source + lane * columns + v * lanes;
                        store(target, lane < used_lanes && left ? Lanes<T>(left).load(numbers) : Vector<T>{});
                    }
                }
            }
        }
    }
};

// The rows and tiles that one thread works on.
struct Share {
    Team* team = nullptr;
    int member = 0;
    const ptrdiff_t* rows = nullptr;  // sorted by length, the longest first
    ptrdiff_t count = 0;
    ptrdiff_t tile_begin = 0, tile_end = 0;

    // Returns how many of the rows have a step t, given that `before` of them had the step computed last.
    template <class T>
    ptrdiff_t active(const Layer<T>& layer, ptrdiff_t t, ptrdiff_t before) const {
        while (before > 0 && layer.length(rows[before - 1]) <= t) --before;
        while (before < count && layer.length(rows[before]) > t) ++before;
        return before;
    }
};

// The division of the work: by rows, so that no thread waits for another, or by neurons if there are too few rows.
template <class T>
struct Division {
    int threads;
    bool by_rows;
    ptrdiff_t unit;  // number of tiles that one thread must own together
    ptrdiff_t* order = nullptr;  // the rows, sorted by length, the longest first
    Team* teams = nullptr;
    Team* everyone = nullptr;

    // For at most `most_threads` threads; one thread must own `unit_vectors` vectors of neurons together.
    Division(const Layer<T>& layer, int most_threads, int unit_vectors) {
        unit = larger(1, unit_vectors / layer.vectors);
        const ptrdiff_t units = divided_up(layer.tiles, unit);
        const double step = 2.0 * layer.cell.drives() * layer.padded * (layer.N + (layer.problem.x ? layer.I : 0) + 40);
        by_rows = layer.B >= 4 * most_threads || units < 2;
        ptrdiff_t most;
        if (by_rows) most = smaller(layer.B, static_cast<ptrdiff_t>(step * layer.B * layer.T_ / 2e6));
        else most = step * layer.B < 6e4 ? 1 : units;
        threads = static_cast<int>(larger(1, smaller(most_threads, most)));
        if (threads == 1) by_rows = true;
    }

    int team_count() const { return by_rows ? threads : 1; }

    // Sorts the rows and makes the teams.
    void gather(const Layer<T>& layer, Scratch& scratch) {
        order = take<ptrdiff_t>(scratch, layer.B + 1);
        sort(layer, take<ptrdiff_t>(scratch, layer.T_ + 1));
        teams = take<Team>(scratch, team_count() + 1);
        Team::Counter* counters = take<Team::Counter>(scratch, 2 * threads);
        everyone = new (teams + team_count()) Team(counters, threads);
        for (int k = 0; k < team_count(); ++k) new (teams + k) Team(counters + threads + k, threads / team_count());
    }

    // `rows` has room for B numbers. Rows with lengths are dealt out in turn, so that every thread gets as many long
    // ones as the others.
    Share share(const Layer<T>& layer, int worker, ptrdiff_t* rows) const {
        Share share;
        share.team = by_rows ? teams + worker : teams;
        share.member = by_rows ? 0 : worker;
        share.rows = rows;
        if (by_rows && layer.problem.lengths) {
            for (ptrdiff_t b = worker; b < layer.B; b += threads) rows[share.count++] = order[b];
        } else {
            const Blocks blocks(layer.B, larger(1, divided_up(layer.B, by_rows ? threads : 1)));
            const ptrdiff_t k = by_rows ? worker : 0;
            const ptrdiff_t begin = k < blocks.count ? blocks.begin(k) : 0;
            share.count = k < blocks.count ? blocks.size(k) : 0;
            for (ptrdiff_t r = 0; r < share.count; ++r) rows[r] = order[begin + r];
        }
        share.tile_end = layer.tiles;
        if (!by_rows) {
            const ptrdiff_t units = divided_up(layer.tiles, unit);
            share.tile_begin = smaller(layer.tiles, units * worker / threads * unit);
            share.tile_end = smaller(layer.tiles, units * (worker + 1) / threads * unit);
        }
        return share;
    }

private:
    // `counts` has room for T + 1 numbers.
    void sort(const Layer<T>& layer, ptrdiff_t* counts) {
        if (!layer.problem.lengths) {
            for (ptrdiff_t b = 0; b < layer.B; ++b) order[b] = b;
            return;
        }
        for (ptrdiff_t t = 0; t <= layer.T_; ++t) counts[t] = 0;
        for (ptrdiff_t b = 0; b < layer.B; ++b) ++counts[layer.length(b)];
        ptrdiff_t place = 0;
        for (ptrdiff_t t = layer.T_; t >= 0; --t) {
            const ptrdiff_t many = counts[t];
            counts[t] = place;
            place += many;
        }
        for (ptrdiff_t b = 0; b < layer.B; ++b) order[counts[layer.length(b)]++] = b;
    }
};

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
