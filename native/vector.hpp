// One SIMD vector of numbers, and the functions that the cells' equations are made of.
//
// The same source is compiled once for each instruction-set level (see level.cpp); GCC's and Clang's vector types do
// the rest. Nothing here may use a function of the standard library that is not a macro or a builtin: the linker
// would merge the copies of the levels, and a processor without AVX-512 could be given the one with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define GATESCOPE_VECTOR_BYTES 64
#define GATESCOPE_REGISTERS 32
#elif defined(__AVX__)
#define GATESCOPE_VECTOR_BYTES 32
#define GATESCOPE_REGISTERS 16
#elif defined(__aarch64__)
#define GATESCOPE_VECTOR_BYTES 16
#define GATESCOPE_REGISTERS 32
#elif defined(__wasm__)
#define GATESCOPE_VECTOR_BYTES 16
#define GATESCOPE_REGISTERS 15  // of x86-64, where the engine of a browser keeps one for itself
#else
#define GATESCOPE_VECTOR_BYTES 16
#define GATESCOPE_REGISTERS 16
#endif

namespace gatescope {
namespace GATESCOPE_LEVEL {

typedef float FloatVector __attribute__((vector_size(GATESCOPE_VECTOR_BYTES)));
typedef double DoubleVector __attribute__((vector_size(GATESCOPE_VECTOR_BYTES)));
typedef int32_t FloatBits __attribute__((vector_size(GATESCOPE_VECTOR_BYTES)));
typedef int64_t DoubleBits __attribute__((vector_size(GATESCOPE_VECTOR_BYTES)));

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
    using type = FloatVector;
};
template <>
struct VectorOf<double> {
    using type = DoubleVector;
};
template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
constexpr int WIDTH = GATESCOPE_VECTOR_BYTES / static_cast<int>(sizeof(T));

// What differs between the two precisions: the layout of the number and the polynomials. The polynomials were fitted at
// Chebyshev nodes to (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2 and to (atanh(s) / s - 1) / s^2 on 0 <= s^2 <= 1 / 9.
template <class V>
struct Format;

template <>
struct Format<FloatVector> {
    using number = float;
    using bits = FloatBits;
    static constexpr int mantissa = 23, bias = 127;
    static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float largest = 87.0f;                  // e^x and e^-x are normal numbers up to here
    static constexpr float underflow = -104.0f, overflow = 89.0f;  // e^x is 0, is infinite
    static constexpr float exponential[] = {0.5000000013470303f, 0.16666576967247557f, 0.04166646489536337f,
                                            0.008363181544679861f, 0.0013933652487123443f};
    static constexpr float logarithm[] = {0.33333333668806797f, 0.19999850678150766f, 0.1429629170706981f,
                                          0.1085165750629505f, 0.11619525258644646f};
};

template <>
struct Format<DoubleVector> {
    using number = double;
    using bits = DoubleBits;
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr double magic = 6755399441055744.0;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double largest = 708.0;
    static constexpr double underflow = -746.0, overflow = 710.0;
    static constexpr double exponential[] = {0.5000000000000001,     0.1666666666666679,     0.04166666666663269,
                                             0.008333333333301725,   0.0013888888911328748,  0.0001984126981792262,
                                             2.48015344927607e-05,   2.755736694139839e-06,  2.761004487580541e-07,
                                             2.506285922172724e-08,  2.087502868736316e-10};
    static constexpr double logarithm[] = {0.33333333333333265, 0.20000000000087317,  0.14285714257267512,
                                           0.11111115235037741, 0.09090588846785505,  0.07707094039582417,
                                           0.06236761828190776, 0.13930905549328773,  -0.9033340567142579,
                                           6.662067726814198,   -17.635204728770105,  -81.2345578307179,
                                           742.6264204054764,   -1631.4005531377995};
};

template <class V>
static inline V constant(double value) {
    return V{} + static_cast<typename Format<V>::number>(value);
}

// --- loading and storing; a vector at the end of a row has fewer neurons than lanes ----------------------------------

template <class T>
static inline Vector<T> load(const T* source) {
    Vector<T> value;
    memcpy(&value, source, sizeof value);
    return value;
}

template <class T>
static inline void store(T* target, Vector<T> value) {
    memcpy(target, &value, sizeof value);
}

// The first `count` lanes of a vector; the others are read as 0 and never written.
template <class T>
struct Lanes {
    int count;

    explicit Lanes(int most) : count(most < WIDTH<T> ? most : WIDTH<T>) {
#if defined(__AVX512F__)
        mask = static_cast<decltype(mask)>((1u << count) - 1);
#endif
    }

#if defined(__AVX512F__)
    uint32_t mask;

    Vector<float> load(const float* source) const {
        return reinterpret_cast<FloatVector>(_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), source));
    }
    Vector<double> load(const double* source) const {
        return reinterpret_cast<DoubleVector>(_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask), source));
    }
    void store(float* target, FloatVector value) const {
        _mm512_mask_storeu_ps(target, static_cast<__mmask16>(mask), reinterpret_cast<__m512>(value));
    }
    void store(double* target, DoubleVector value) const {
        _mm512_mask_storeu_pd(target, static_cast<__mmask8>(mask), reinterpret_cast<__m512d>(value));
    }
#elif GATESCOPE_VECTOR_BYTES == 16
    // Of four lanes, two are one load; a loop over the lanes would go through memory.
    Vector<T> load(const T* source) const {
        if (count == WIDTH<T>) return GATESCOPE_LEVEL::load(source);
        Vector<T> value{};
        if (count & 2) memcpy(&value, source, 2 * sizeof(T));
        if (count == 1) value[0] = source[0];
        if (count == 3) value[WIDTH<T> / 2] = source[2];
        return value;
    }
    void store(T* target, Vector<T> value) const {
        if (count == WIDTH<T>) return GATESCOPE_LEVEL::store(target, value);
        if (count & 2) memcpy(target, &value, 2 * sizeof(T));
        if (count == 1) target[0] = value[0];
        if (count == 3) target[2] = value[WIDTH<T> / 2];
    }
#else
    Vector<T> load(const T* source) const {
        if (count == WIDTH<T>) return GATESCOPE_LEVEL::load(source);
        T part[WIDTH<T>] = {};
        for (int k = 0; k < count; ++k) part[k] = source[k];
        return GATESCOPE_LEVEL::load(part);
    }
    void store(T* target, Vector<T> value) const {
        if (count == WIDTH<T>) return GATESCOPE_LEVEL::store(target, value);
        for (int k = 0; k < count; ++k) target[k] = value[k];
    }
#endif

    // Returns the value with 0 in the lanes without a neuron.
    Vector<T> only(Vector<T> value) const {
#if defined(__AVX512F__)
        if constexpr (sizeof(T) == 4) {
            return reinterpret_cast<Vector<T>>(
                _mm512_maskz_mov_ps(static_cast<__mmask16>(mask), reinterpret_cast<__m512>(value)));
        } else {
            return reinterpret_cast<Vector<T>>(
                _mm512_maskz_mov_pd(static_cast<__mmask8>(mask), reinterpret_cast<__m512d>(value)));
        }
#endif
        if (count == WIDTH<T>) return value;
        typename Format<Vector<T>>::bits index;
        for (int k = 0; k < WIDTH<T>; ++k) index[k] = k;
        return index < count ? value : Vector<T>{};
    }
};

// --- functions ------------------------------------------------------------------------------------------------------

// The larger and the smaller of two numbers; NaN if x is NaN.
template <class V>
static inline V at_least(V bound, V x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(typename Format<V>::number) == 4) {
        return reinterpret_cast<V>(_mm512_max_ps(reinterpret_cast<__m512>(bound), reinterpret_cast<__m512>(x)));
    } else {
        return reinterpret_cast<V>(_mm512_max_pd(reinterpret_cast<__m512d>(bound), reinterpret_cast<__m512d>(x)));
    }
#elif defined(__AVX__)
    if constexpr (sizeof(typename Format<V>::number) == 4) {
        return reinterpret_cast<V>(_mm256_max_ps(reinterpret_cast<__m256>(bound), reinterpret_cast<__m256>(x)));
    } else {
        return reinterpret_cast<V>(_mm256_max_pd(reinterpret_cast<__m256d>(bound), reinterpret_cast<__m256d>(x)));
    }
#elif defined(__wasm__)
    // The compiler would make relaxed_max of a comparison, which may return the bound for NaN.
    if constexpr (sizeof(typename Format<V>::number) == 4) return __builtin_wasm_pmax_f32x4(x, bound);
    else return __builtin_wasm_pmax_f64x2(x, bound);
#else
    return bound > x ? bound : x;
#endif
}

template <class V>
static inline V at_most(V bound, V x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(typename Format<V>::number) == 4) {
        return reinterpret_cast<V>(_mm512_min_ps(reinterpret_cast<__m512>(bound), reinterpret_cast<__m512>(x)));
    } else {
        return reinterpret_cast<V>(_mm512_min_pd(reinterpret_cast<__m512d>(bound), reinterpret_cast<__m512d>(x)));
    }
#elif defined(__AVX__)
    if constexpr (sizeof(typename Format<V>::number) == 4) {
        return reinterpret_cast<V>(_mm256_min_ps(reinterpret_cast<__m256>(bound), reinterpret_cast<__m256>(x)));
    } else {
        return reinterpret_cast<V>(_mm256_min_pd(reinterpret_cast<__m256d>(bound), reinterpret_cast<__m256d>(x)));
    }
#elif defined(__wasm__)
    if constexpr (sizeof(typename Format<V>::number) == 4) return __builtin_wasm_pmin_f32x4(x, bound);
    else return __builtin_wasm_pmin_f64x2(x, bound);
#else
    return bound < x ? bound : x;
#endif
}

template <class V>
static inline V clamped(V x, typename Format<V>::number low, typename Format<V>::number high) {
    return at_most(constant<V>(high), at_least(constant<V>(low), x));
}

template <class V, size_t N>
static inline V polynomial(V x, const typename Format<V>::number (&coefficients)[N]) {
    V value = V{} + coefficients[N - 1];
#pragma GCC unroll 16
    for (int k = static_cast<int>(N) - 2; k >= 0; --k) value = value * x + coefficients[k];
    return value;
}

// e^x = 2^n (1 + tail) with |tail| < 1/2: the tail keeps its digits where e^x is near 1.
template <class V>
struct Power {
    V tail;
    typename Format<V>::bits n;

    explicit Power(V x) {
        using F = Format<V>;
        const V shifted = x * typename F::number(1.44269504088896340736) + F::magic;
        const V whole = shifted - F::magic;
        n = reinterpret_cast<typename F::bits>(shifted) - reinterpret_cast<typename F::bits>(V{} + F::magic);
        V r = x - whole * F::ln2_high;
        r = r - whole * F::ln2_low;
        tail = r + r * r * polynomial(r, F::exponential);
    }

    static V two_to(typename Format<V>::bits exponent) {
        return reinterpret_cast<V>((exponent + Format<V>::bias) << Format<V>::mantissa);
    }
};

template <class V>
static inline V sigmoid(V x) {
    const Power<V> power(clamped(-x, -Format<V>::largest, Format<V>::largest));
    const V scale = Power<V>::two_to(power.n);
    return constant<V>(1) / (constant<V>(1) + (scale + scale * power.tail));
}

// (e^2x - 1) / (e^2x + 1), with e^2x - 1 computed without losing the digits of a small x.
template <class V>
static inline V tanh_(V x) {
    const Power<V> power(clamped(x + x, -40, 40));
    const V scale = Power<V>::two_to(power.n);
    const V above_one = scale * power.tail + (scale - 1);
    return above_one / (above_one + 2);
}

// Computed as two factors, so that subnormal results are rounded as in IEEE 754.
template <class V>
static inline V exp_(V x) {
    const Power<V> power(clamped(x, Format<V>::underflow, Format<V>::overflow));
    const typename Format<V>::bits half = power.n >> 1;
    return (power.tail + 1) * Power<V>::two_to(half) * Power<V>::two_to(power.n - half);
}

template <class V>
static inline V log_sigmoid(V x) {
    const V small = x < V{} ? x : V{};
    const V e = exp_(x < V{} ? x : -x);
    const V s = e / (e + 2), z = s * s;  // log(1 + e) = 2 atanh(e / (2 + e))
    const V twice = s + s;
    return (x != x ? x : small) - (twice + twice * z * polynomial(z, Format<V>::logarithm));
}

template <class V>
static inline V relu(V x) {
    return x < V{} ? V{} : x;
}

template <class V>
static inline V maximum(V a, V b) {
    const V larger = a > b ? a : b;
    return a != a ? a : larger;
}

template <class V>
static inline V positive(V x) {
    return x > V{} ? constant<V>(1) : V{};
}

template <class V>
static inline V above(V a, V b) {
    const V equal = a == b ? constant<V>(0.5) : V{};
    return a > b ? constant<V>(1) : equal;
}

}  // namespace GATESCOPE_LEVEL
}  // namespace gatescope
