// The two matrix products of the time loop, for a block of rows and a tile of a few vectors.
//
// Both keep the whole block in registers and read each weight once for all its rows. The order of the additions depends
// only on the sizes of the layer, not on the block, the batch or the number of threads.
#pragma once

#include "vector.hpp"

namespace gatescope {
namespace GATESCOPE_LEVEL {

constexpr int WIDEST = 8;     // vectors in a tile
constexpr int MAX_BLOCK_ROWS = 8;

#if defined(__wasm__)
constexpr bool PREFETCHES = false;       // WebAssembly has no such instruction
constexpr int EQUATION_ROWS = MAX_BLOCK_ROWS;  // rows whose equations are computed together, if a block has fewer
constexpr int SINGLE_ROW_WIDTH = WIDEST;  // vectors are short: the sums of one row must hide each other's latency
#else
constexpr bool PREFETCHES = true;
constexpr int EQUATION_ROWS = 1;
constexpr int SINGLE_ROW_WIDTH = 4;
#endif
constexpr int BATCH_WIDTH = 4;  // vectors of all drives in a tile, if the cell has few drives

// How many rows fit into the registers beside a tile of `width` vectors.
constexpr int rows_beside(int width) {
#if defined(__wasm__)
    // Engines load all weights and the number of every row before the first multiply-add.
    const int rows = (GATESCOPE_REGISTERS - width) / (width + 1);
#else
    const int free_registers = GATESCOPE_REGISTERS - (GATESCOPE_REGISTERS > 16 ? width + 2 : 3);
    const int rows = free_registers / width;
#endif
    return rows < 1 ? 1 : rows > MAX_BLOCK_ROWS ? MAX_BLOCK_ROWS : rows;
}

// One factor of a product: numbers rows[m][offset + k] and a packed matrix weights[k][w]. k runs through `segments`
// pieces of `length` numbers that lie `stride` apart in a row and one after the other in the weights.
template <class T>
struct Source {
    const T* const* rows;
    ptrdiff_t offset, segments, length, stride;
    const T* weights;
};

// Cache lines that will be needed soon. They are prefetched a few at a time while a product is computed; prefetching
// all at once would stall the product.
struct Lines {
    const char** addresses;
    ptrdiff_t count = 0, chunk = 0;

    void add(const void* address) { addresses[count++] = static_cast<const char*>(address); }
};

constexpr ptrdiff_t CHUNK = 32;  // values of k between two groups of prefetches

// block[m][w] = starts[m][w] + the sum over `count` sources and k of rows[m][k] * weights[k][w]; starts may be 0.
template <class T, int M, int W>
void multiply(const Source<T>* sources, int count, const T* const* starts, T* block, ptrdiff_t pitch, Lines& lines) {
    using V = Vector<T>;
    V sum[M][W];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) sum[m][w] = starts ? load(starts[m] + w * WIDTH<T>) : V{};
    }
    const char* const* line = lines.addresses;
    const char* const* last = line + lines.count;
    for (int s = 0; s < count; ++s) {
        const Source<T>& source = sources[s];
        const T* weights = source.weights;
        const T* row[M];
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) row[m] = source.rows[m] + source.offset;
        for (ptrdiff_t segment = 0; segment < source.segments; ++segment) {
            for (ptrdiff_t from = 0; from < source.length; from += CHUNK) {
                const ptrdiff_t to = from + CHUNK < source.length ? from + CHUNK : source.length;
                for (const char* const* stop = line + lines.chunk; line < last && line < stop; ++line) {
                    __builtin_prefetch(*line);
                }
                for (ptrdiff_t k = from; k < to; ++k) {
                    V weight[W];
#pragma GCC unroll 8
                    for (int w = 0; w < W; ++w) weight[w] = load(weights + w * WIDTH<T>);
#pragma GCC unroll 8
                    for (int m = 0; m < M; ++m) {
                        const T value = row[m][k];
#pragma GCC unroll 8
                        for (int w = 0; w < W; ++w) sum[m][w] += value * weight[w];
                    }
                    weights += W * WIDTH<T>;
                }
            }
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) row[m] += source.stride;
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) store(block + m * pitch + w * WIDTH<T>, sum[m][w]);
    }
}

// block[m][w] (+)= sum over s of rows[s][column + m] * values[s][w]: what `count` steps and rows add to a gradient.
template <class T, int M, int W>
void accumulate(const T* const* rows, ptrdiff_t column, ptrdiff_t count, const T* values, ptrdiff_t pitch, T* block,
                ptrdiff_t block_pitch, bool first) {
    using V = Vector<T>;
    V sum[M][W];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) sum[m][w] = first ? V{} : load(block + m * block_pitch + w * WIDTH<T>);
    }
    for (ptrdiff_t s = 0; s < count; ++s) {
        const T* row = rows[s] + column;
        V value[W];
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) value[w] = load(values + w * WIDTH<T>);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            const T factor = row[m];
#pragma GCC unroll 8
            for (int w = 0; w < W; ++w) sum[m][w] += factor * value[w];
        }
        values += pitch;
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) store(block + m * block_pitch + w * WIDTH<T>, sum[m][w]);
    }
}

template <class T>
using Multiply = void (*)(const Source<T>*, int, const T* const*, T*, ptrdiff_t, Lines&);
template <class T>
using Accumulate = void (*)(const T* const*, ptrdiff_t, ptrdiff_t, const T*, ptrdiff_t, T*, ptrdiff_t, bool);

// The kernels for a tile of W vectors, by the number of rows in the block.
template <class T, int W>
struct Kernels {
    static constexpr int rows = rows_beside(W);
    template <int M>
    static constexpr int at_most = M < rows ? M : rows;
    static constexpr Multiply<T> multiply[] = {
        GATESCOPE_LEVEL::multiply<T, at_most<1>, W>, GATESCOPE_LEVEL::multiply<T, at_most<2>, W>,
        GATESCOPE_LEVEL::multiply<T, at_most<3>, W>, GATESCOPE_LEVEL::multiply<T, at_most<4>, W>,
        GATESCOPE_LEVEL::multiply<T, at_most<5>, W>, GATESCOPE_LEVEL::multiply<T, at_most<6>, W>,
        GATESCOPE_LEVEL::multiply<T, at_most<7>, W>, GATESCOPE_LEVEL::multiply<T, at_most<8>, W>};
    static constexpr Accumulate<T> accumulate[] = {
        GATESCOPE_LEVEL::accumulate<T, at_most<1>, W>, GATESCOPE_LEVEL::accumulate<T, at_most<2>, W>,
        GATESCOPE_LEVEL::accumulate<T, at_most<3>, W>, GATESCOPE_LEVEL::accumulate<T, at_most<4>, W>,
        GATESCOPE_LEVEL::accumulate<T, at_most<5>, W>, GATESCOPE_LEVEL::accumulate<T, at_most<6>, W>,
        GATESCOPE_LEVEL::accumulate<T, at_most<7>, W>, GATESCOPE_LEVEL::accumulate<T, at_most<8>, W>};
};

// Into how many parts a tile is cut where many rows are computed together.
constexpr int parts_of(int width) { return width > BATCH_WIDTH && width % 2 == 0 ? 2 : 1; }

template <class T>
struct Tile {
    int width = 1;  // vectors
    int rows = 1;   // rows that fit beside them
    const Multiply<T>* multiply = nullptr;
    const Accumulate<T>* accumulate = nullptr;

    template <int W>
    static Tile of() {
        return {W, Kernels<T, W>::rows, Kernels<T, W>::multiply, Kernels<T, W>::accumulate};
    }

    static Tile of_width(int width) {
        switch (width) {
            case 1: return of<1>();
            case 2: return of<2>();
            case 3: return of<3>();
            case 4: return of<4>();
            case 5: return of<5>();
            case 6: return of<6>();
            case 7: return of<7>();
            default: return of<8>();
        }
    }
};

// Rows divided into blocks of nearly equal size, none of them larger than `most`.
struct Blocks {
    ptrdiff_t count, whole, longer;

    Blocks(ptrdiff_t rows, ptrdiff_t most) : count((rows + most - 1) / most) {
        whole = count ? rows / count : 0;
        longer = count ? rows % count : 0;
    }
    ptrdiff_t begin(ptrdiff_t k) const { return k * whole + (k < longer ? k : longer); }
    ptrdiff_t size(ptrdiff_t k) const { return whole + (k < longer ? 1 : 0); }
};

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
