// One step of every built-in cell, forward and backward. Written by gatescope.cells.generate from the cells' equations.
//
// drive      x.k = W.k input + b.k where it stands alone, then x.k + u.k where both are only used as that sum (xu_k),
//            then u.k = U.k h, with h one step earlier, where it stands alone
// state      signals one step earlier (s_k)
// parameter  p.k, one number per neuron
// signal     what the step computes, changed where an intervention says so (value <- scale * value + shift)
// gradient   dL/d(signal), all that arrives from outside the step
// residual   the drives that the backward step reads and that no signal tells: drive[residual_drive[j]]
//
// change(k, value)         forward: signal k after its change
// change.before(k, value)  backward: signal k before its change, where value is what it became
// change.back(k, value)    backward: scale * value
//
// Results are written when everything has been read.

// Feed-forward. Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors
//
//   h = tanh(x.h)
struct feedforward {
    static constexpr const char* key = "d01fa675acf05eda";
    static constexpr const char* name = "feedforward";
    static constexpr int input_alone = 1, joined = 0, recurrent_alone = 0;
    static constexpr int states = 0, parameters = 0;
    static constexpr int signals = 1, residuals = 0;
    static constexpr int hidden = 0;
    static constexpr int state_signal[] = {-1};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* /*state*/, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V x_h = drive[0];
        const V h = change(0, tanh_(x_h));
        signal[0] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* /*state*/, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* /*d_state*/, V* /*d_parameter*/, const Change& change) {
        const V d_h = change.back(0, gradient[0]);
        const V before_h = change.before(0, signal[0]);
        const V d_x_h = d_h * (constant<V>(1.0) - before_h * before_h);
        d_drive[0] = d_x_h;
    }
};

// Elman (tanh). Elman 1990, Finding structure in time
//
//   h = tanh(x.h + u.h)
struct elman {
    static constexpr const char* key = "70af6c5ab487eea6";
    static constexpr const char* name = "elman";
    static constexpr int input_alone = 0, joined = 1, recurrent_alone = 0;
    static constexpr int states = 1, parameters = 0;
    static constexpr int signals = 1, residuals = 0;
    static constexpr int hidden = 0;
    static constexpr int state_signal[] = {0};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* /*state*/, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V xu_h = drive[0];
        const V h = change(0, tanh_(xu_h));
        signal[0] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* /*state*/, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V d_h = change.back(0, gradient[0]);
        const V before_h = change.before(0, signal[0]);
        const V d_xu_h = d_h * (constant<V>(1.0) - before_h * before_h);
        d_drive[0] = d_xu_h;
        d_state[0] = constant<V>(0.0);
    }
};

// Elman (sigmoid). Elman 1990, Finding structure in time
//
//   h = σ(x.h + u.h)
struct elman_sigmoid {
    static constexpr const char* key = "8e1925f6767011fa";
    static constexpr const char* name = "elman_sigmoid";
    static constexpr int input_alone = 0, joined = 1, recurrent_alone = 0;
    static constexpr int states = 1, parameters = 0;
    static constexpr int signals = 1, residuals = 0;
    static constexpr int hidden = 0;
    static constexpr int state_signal[] = {0};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* /*state*/, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V xu_h = drive[0];
        const V h = change(0, sigmoid(xu_h));
        signal[0] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* /*state*/, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V d_h = change.back(0, gradient[0]);
        const V before_h = change.before(0, signal[0]);
        const V d_xu_h = d_h * (before_h * (constant<V>(1.0) - before_h));
        d_drive[0] = d_xu_h;
        d_state[0] = constant<V>(0.0);
    }
};

// Elman (ReLU). Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of rectified linear units
//
//   h = relu(x.h + u.h)
struct elman_relu {
    static constexpr const char* key = "d1a5a6eddedc9f65";
    static constexpr const char* name = "elman_relu";
    static constexpr int input_alone = 0, joined = 1, recurrent_alone = 0;
    static constexpr int states = 1, parameters = 0;
    static constexpr int signals = 1, residuals = 0;
    static constexpr int hidden = 0;
    static constexpr int state_signal[] = {0};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* /*state*/, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V xu_h = drive[0];
        const V h = change(0, relu(xu_h));
        signal[0] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* /*state*/, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V d_h = change.back(0, gradient[0]);
        const V before_h = change.before(0, signal[0]);
        const V d_xu_h = d_h * positive(before_h);
        d_drive[0] = d_xu_h;
        d_state[0] = constant<V>(0.0);
    }
};

// LSTM of 1997 (no forget gate). Hochreiter and Schmidhuber 1997, Long short-term memory
//
//   i = σ(x.i + u.i)
//   g = tanh(x.g + u.g)
//   o = σ(x.o + u.o)
//   c = c₋₁ + i · g
//   h = o · tanh(c)
struct lstm_1997 {
    static constexpr const char* key = "0278a772deadf3c0";
    static constexpr const char* name = "lstm_1997";
    static constexpr int input_alone = 0, joined = 3, recurrent_alone = 0;
    static constexpr int states = 2, parameters = 0;
    static constexpr int signals = 5, residuals = 0;
    static constexpr int hidden = 4;
    static constexpr int state_signal[] = {3, 4};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* state, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V xu_i = drive[0];
        const V i = change(0, sigmoid(xu_i));
        const V xu_g = drive[1];
        const V g = change(1, tanh_(xu_g));
        const V xu_o = drive[2];
        const V o = change(2, sigmoid(xu_o));
        const V s_c = state[0];
        const V c = change(3, s_c + i * g);
        const V h = change(4, o * tanh_(c));
        signal[0] = i;
        signal[1] = g;
        signal[2] = o;
        signal[3] = c;
        signal[4] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* /*state*/, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V i = signal[0];
        const V g = signal[1];
        const V o = signal[2];
        const V c = signal[3];
        const V t0 = tanh_(c);
        const V d_h = change.back(4, gradient[4]);
        const V d_c = change.back(3, gradient[3] + d_h * o * (constant<V>(1.0) - t0 * t0));
        const V d_o = change.back(2, gradient[2] + d_h * t0);
        const V before_o = change.before(2, signal[2]);
        const V d_xu_o = d_o * (before_o * (constant<V>(1.0) - before_o));
        const V d_g = change.back(1, gradient[1] + d_c * i);
        const V before_g = change.before(1, signal[1]);
        const V d_xu_g = d_g * (constant<V>(1.0) - before_g * before_g);
        const V d_i = change.back(0, gradient[0] + d_c * g);
        const V before_i = change.before(0, signal[0]);
        const V d_xu_i = d_i * (before_i * (constant<V>(1.0) - before_i));
        d_drive[0] = d_xu_i;
        d_drive[1] = d_xu_g;
        d_drive[2] = d_xu_o;
        d_state[0] = d_c;
        d_state[1] = constant<V>(0.0);
    }
};

// LSTM. Gers, Schmidhuber and Cummins 2000, Learning to forget: continual prediction with LSTM
//
//   i = σ(x.i + u.i)
//   f = σ(x.f + u.f)
//   g = tanh(x.g + u.g)
//   o = σ(x.o + u.o)
//   c = f · c₋₁ + i · g
//   h = o · tanh(c)
struct lstm {
    static constexpr const char* key = "40d2de7a212a8ad3";
    static constexpr const char* name = "lstm";
    static constexpr int input_alone = 0, joined = 4, recurrent_alone = 0;
    static constexpr int states = 2, parameters = 0;
    static constexpr int signals = 6, residuals = 0;
    static constexpr int hidden = 5;
    static constexpr int state_signal[] = {4, 5};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* state, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V xu_i = drive[0];
        const V i = change(0, sigmoid(xu_i));
        const V xu_f = drive[1];
        const V f = change(1, sigmoid(xu_f));
        const V xu_g = drive[2];
        const V g = change(2, tanh_(xu_g));
        const V xu_o = drive[3];
        const V o = change(3, sigmoid(xu_o));
        const V s_c = state[0];
        const V c = change(4, f * s_c + i * g);
        const V h = change(5, o * tanh_(c));
        signal[0] = i;
        signal[1] = f;
        signal[2] = g;
        signal[3] = o;
        signal[4] = c;
        signal[5] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* state, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V i = signal[0];
        const V f = signal[1];
        const V g = signal[2];
        const V o = signal[3];
        const V s_c = state[0];
        const V c = signal[4];
        const V t0 = tanh_(c);
        const V d_h = change.back(5, gradient[5]);
        const V d_c = change.back(4, gradient[4] + d_h * o * (constant<V>(1.0) - t0 * t0));
        const V d_s_c = d_c * f;
        const V d_o = change.back(3, gradient[3] + d_h * t0);
        const V before_o = change.before(3, signal[3]);
        const V d_xu_o = d_o * (before_o * (constant<V>(1.0) - before_o));
        const V d_g = change.back(2, gradient[2] + d_c * i);
        const V before_g = change.before(2, signal[2]);
        const V d_xu_g = d_g * (constant<V>(1.0) - before_g * before_g);
        const V d_f = change.back(1, gradient[1] + d_c * s_c);
        const V before_f = change.before(1, signal[1]);
        const V d_xu_f = d_f * (before_f * (constant<V>(1.0) - before_f));
        const V d_i = change.back(0, gradient[0] + d_c * g);
        const V before_i = change.before(0, signal[0]);
        const V d_xu_i = d_i * (before_i * (constant<V>(1.0) - before_i));
        d_drive[0] = d_xu_i;
        d_drive[1] = d_xu_f;
        d_drive[2] = d_xu_g;
        d_drive[3] = d_xu_o;
        d_state[0] = d_s_c;
        d_state[1] = constant<V>(0.0);
    }
};

// Peephole LSTM. Gers, Schraudolph and Schmidhuber 2002, Learning precise timing with LSTM recurrent networks
//
//   i = σ(x.i + u.i + p.i · c₋₁)
//   f = σ(x.f + u.f + p.f · c₋₁)
//   g = tanh(x.g + u.g)
//   c = f · c₋₁ + i · g
//   o = σ(x.o + u.o + p.o · c)
//   h = o · tanh(c)
struct peephole {
    static constexpr const char* key = "060c2d6a7292594e";
    static constexpr const char* name = "peephole";
    static constexpr int input_alone = 0, joined = 4, recurrent_alone = 0;
    static constexpr int states = 2, parameters = 3;
    static constexpr int signals = 6, residuals = 0;
    static constexpr int hidden = 5;
    static constexpr int state_signal[] = {3, 5};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* state, const V* parameter,
                               V* signal, const Change& change) {
        const V xu_i = drive[0];
        const V p_i = parameter[0];
        const V s_c = state[0];
        const V i = change(0, sigmoid(xu_i + p_i * s_c));
        const V xu_f = drive[1];
        const V p_f = parameter[1];
        const V f = change(1, sigmoid(xu_f + p_f * s_c));
        const V xu_g = drive[2];
        const V g = change(2, tanh_(xu_g));
        const V c = change(3, f * s_c + i * g);
        const V xu_o = drive[3];
        const V p_o = parameter[2];
        const V o = change(4, sigmoid(xu_o + p_o * c));
        const V h = change(5, o * tanh_(c));
        signal[0] = i;
        signal[1] = f;
        signal[2] = g;
        signal[3] = c;
        signal[4] = o;
        signal[5] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* state, const V* parameter,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* d_parameter, const Change& change) {
        const V p_i = parameter[0];
        const V s_c = state[0];
        const V i = signal[0];
        const V p_f = parameter[1];
        const V f = signal[1];
        const V g = signal[2];
        const V c = signal[3];
        const V p_o = parameter[2];
        const V o = signal[4];
        const V t0 = tanh_(c);
        const V d_h = change.back(5, gradient[5]);
        const V d_o = change.back(4, gradient[4] + d_h * t0);
        const V before_o = change.before(4, signal[4]);
        const V d_xu_o = d_o * (before_o * (constant<V>(1.0) - before_o));
        const V d_p_o = d_xu_o * c;
        const V d_c = change.back(3, gradient[3] + d_h * o * (constant<V>(1.0) - t0 * t0) + d_xu_o * p_o);
        const V d_g = change.back(2, gradient[2] + d_c * i);
        const V before_g = change.before(2, signal[2]);
        const V d_xu_g = d_g * (constant<V>(1.0) - before_g * before_g);
        const V d_f = change.back(1, gradient[1] + d_c * s_c);
        const V before_f = change.before(1, signal[1]);
        const V d_xu_f = d_f * (before_f * (constant<V>(1.0) - before_f));
        const V d_p_f = d_xu_f * s_c;
        const V d_i = change.back(0, gradient[0] + d_c * g);
        const V before_i = change.before(0, signal[0]);
        const V d_xu_i = d_i * (before_i * (constant<V>(1.0) - before_i));
        const V d_p_i = d_xu_i * s_c;
        const V d_s_c = d_c * f + d_xu_f * p_f + d_xu_i * p_i;
        d_drive[0] = d_xu_i;
        d_drive[1] = d_xu_f;
        d_drive[2] = d_xu_g;
        d_drive[3] = d_xu_o;
        d_state[0] = d_s_c;
        d_state[1] = constant<V>(0.0);
        d_parameter[0] = d_p_i;
        d_parameter[1] = d_p_f;
        d_parameter[2] = d_p_o;
    }
};

// Coupled LSTM. Greff, Srivastava, Koutník, Steunebrink and Schmidhuber 2017, LSTM: a search space odyssey (variant
// CIFG)
//
//   f = σ(x.f + u.f)
//   i = 1 - f
//   g = tanh(x.g + u.g)
//   o = σ(x.o + u.o)
//   c = f · c₋₁ + i · g
//   h = o · tanh(c)
struct coupled {
    static constexpr const char* key = "c2b319940e29f980";
    static constexpr const char* name = "coupled";
    static constexpr int input_alone = 0, joined = 3, recurrent_alone = 0;
    static constexpr int states = 2, parameters = 0;
    static constexpr int signals = 6, residuals = 0;
    static constexpr int hidden = 5;
    static constexpr int state_signal[] = {4, 5};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* state, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V xu_f = drive[0];
        const V f = change(0, sigmoid(xu_f));
        const V i = change(1, constant<V>(1.0) - f);
        const V xu_g = drive[1];
        const V g = change(2, tanh_(xu_g));
        const V xu_o = drive[2];
        const V o = change(3, sigmoid(xu_o));
        const V s_c = state[0];
        const V c = change(4, f * s_c + i * g);
        const V h = change(5, o * tanh_(c));
        signal[0] = f;
        signal[1] = i;
        signal[2] = g;
        signal[3] = o;
        signal[4] = c;
        signal[5] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* state, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V f = signal[0];
        const V i = signal[1];
        const V g = signal[2];
        const V o = signal[3];
        const V s_c = state[0];
        const V c = signal[4];
        const V t0 = tanh_(c);
        const V d_h = change.back(5, gradient[5]);
        const V d_c = change.back(4, gradient[4] + d_h * o * (constant<V>(1.0) - t0 * t0));
        const V d_s_c = d_c * f;
        const V d_o = change.back(3, gradient[3] + d_h * t0);
        const V before_o = change.before(3, signal[3]);
        const V d_xu_o = d_o * (before_o * (constant<V>(1.0) - before_o));
        const V d_g = change.back(2, gradient[2] + d_c * i);
        const V before_g = change.before(2, signal[2]);
        const V d_xu_g = d_g * (constant<V>(1.0) - before_g * before_g);
        const V d_i = change.back(1, gradient[1] + d_c * g);
        const V d_f = change.back(0, gradient[0] + d_c * s_c - d_i);
        const V before_f = change.before(0, signal[0]);
        const V d_xu_f = d_f * (before_f * (constant<V>(1.0) - before_f));
        d_drive[0] = d_xu_f;
        d_drive[1] = d_xu_g;
        d_drive[2] = d_xu_o;
        d_state[0] = d_s_c;
        d_state[1] = constant<V>(0.0);
    }
};

// GRU. Cho et al. 2014, Learning phrase representations using RNN encoder-decoder
//
//   r = σ(x.r + u.r)
//   z = σ(x.z + u.z)
//   n = tanh(x.n + r · (u.n + p.n))
//   h = (1 - z) · n + z · h₋₁
struct gru {
    static constexpr const char* key = "45474b0e94ce552e";
    static constexpr const char* name = "gru";
    static constexpr int input_alone = 1, joined = 2, recurrent_alone = 1;
    static constexpr int states = 1, parameters = 1;
    static constexpr int signals = 4, residuals = 1;
    static constexpr int hidden = 3;
    static constexpr int state_signal[] = {3};
    static constexpr int residual_drive[] = {3};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* state, const V* parameter,
                               V* signal, const Change& change) {
        const V xu_r = drive[1];
        const V r = change(0, sigmoid(xu_r));
        const V xu_z = drive[2];
        const V z = change(1, sigmoid(xu_z));
        const V x_n = drive[0];
        const V u_n = drive[3];
        const V p_n = parameter[0];
        const V n = change(2, tanh_(x_n + r * (u_n + p_n)));
        const V s_h = state[0];
        const V h = change(3, (constant<V>(1.0) - z) * n + z * s_h);
        signal[0] = r;
        signal[1] = z;
        signal[2] = n;
        signal[3] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* state, const V* parameter,
                                const V* residual, const V* gradient,
                                V* d_drive, V* d_state, V* d_parameter, const Change& change) {
        const V r = signal[0];
        const V z = signal[1];
        const V u_n = residual[0];
        const V p_n = parameter[0];
        const V n = signal[2];
        const V s_h = state[0];
        const V d_h = change.back(3, gradient[3]);
        const V d_s_h = d_h * z;
        const V d_n = change.back(2, gradient[2] + d_h * (constant<V>(1.0) - z));
        const V before_n = change.before(2, signal[2]);
        const V d_x_n = d_n * (constant<V>(1.0) - before_n * before_n);
        const V d_p_n = d_x_n * r;
        const V d_z = change.back(1, gradient[1] + d_h * s_h - d_h * n);
        const V before_z = change.before(1, signal[1]);
        const V d_xu_z = d_z * (before_z * (constant<V>(1.0) - before_z));
        const V d_r = change.back(0, gradient[0] + d_x_n * (u_n + p_n));
        const V before_r = change.before(0, signal[0]);
        const V d_xu_r = d_r * (before_r * (constant<V>(1.0) - before_r));
        d_drive[0] = d_x_n;
        d_drive[1] = d_xu_r;
        d_drive[2] = d_xu_z;
        d_drive[3] = d_p_n;
        d_state[0] = d_s_h;
        d_parameter[0] = d_p_n;
    }
};

// minGRU. Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, Were RNNs all we needed?
//
//   z = σ(x.z)
//   n = x.n
//   h = (1 - z) · h₋₁ + z · n
struct mingru {
    static constexpr const char* key = "c5897a3845d5b6fb";
    static constexpr const char* name = "mingru";
    static constexpr int input_alone = 2, joined = 0, recurrent_alone = 0;
    static constexpr int states = 1, parameters = 0;
    static constexpr int signals = 3, residuals = 0;
    static constexpr int hidden = 2;
    static constexpr int state_signal[] = {2};
    static constexpr int residual_drive[] = {-1};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* state, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V x_z = drive[0];
        const V z = change(0, sigmoid(x_z));
        const V x_n = drive[1];
        const V n = change(1, x_n);
        const V s_h = state[0];
        const V h = change(2, (constant<V>(1.0) - z) * s_h + z * n);
        signal[0] = z;
        signal[1] = n;
        signal[2] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* state, const V* /*parameter*/,
                                const V* /*residual*/, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V z = signal[0];
        const V n = signal[1];
        const V s_h = state[0];
        const V d_h = change.back(2, gradient[2]);
        const V d_s_h = d_h * (constant<V>(1.0) - z);
        const V d_n = change.back(1, gradient[1] + d_h * z);
        const V d_z = change.back(0, gradient[0] + d_h * n - d_h * s_h);
        const V before_z = change.before(0, signal[0]);
        const V d_x_z = d_z * (before_z * (constant<V>(1.0) - before_z));
        d_drive[0] = d_x_z;
        d_drive[1] = d_n;
        d_state[0] = d_s_h;
    }
};

// sLSTM. Beck et al. 2024, xLSTM: extended long short-term memory (equations 8 to 17)
//
//   g = tanh(x.g + u.g)
//   o = σ(x.o + u.o)
//   m = max(log σ(x.f + u.f) + m₋₁, x.i + u.i)
//   i = exp(x.i + u.i - m)
//   f = exp(log σ(x.f + u.f) + m₋₁ - m)
//   c = f · c₋₁ + i · g
//   n = f · n₋₁ + i
//   h = o · c / n
struct slstm {
    static constexpr const char* key = "fee261e1fb25c3cb";
    static constexpr const char* name = "slstm";
    static constexpr int input_alone = 0, joined = 4, recurrent_alone = 0;
    static constexpr int states = 4, parameters = 0;
    static constexpr int signals = 8, residuals = 2;
    static constexpr int hidden = 7;
    static constexpr int state_signal[] = {2, 5, 6, 7};
    static constexpr int residual_drive[] = {2, 3};

    template <class V, class Change>
    static inline void forward(const V* drive, const V* state, const V* /*parameter*/,
                               V* signal, const Change& change) {
        const V xu_g = drive[0];
        const V g = change(0, tanh_(xu_g));
        const V xu_o = drive[1];
        const V o = change(1, sigmoid(xu_o));
        const V xu_f = drive[2];
        const V s_m = state[0];
        const V t0 = log_sigmoid(xu_f) + s_m;
        const V xu_i = drive[3];
        const V m = change(2, maximum(t0, xu_i));
        const V i = change(3, exp_(xu_i - m));
        const V f = change(4, exp_(t0 - m));
        const V s_c = state[1];
        const V c = change(5, f * s_c + i * g);
        const V s_n = state[2];
        const V n = change(6, f * s_n + i);
        const V h = change(7, o * (c / n));
        signal[0] = g;
        signal[1] = o;
        signal[2] = m;
        signal[3] = i;
        signal[4] = f;
        signal[5] = c;
        signal[6] = n;
        signal[7] = h;
    }

    template <class V, class Change>
    static inline void backward(const V* signal, const V* state, const V* /*parameter*/,
                                const V* residual, const V* gradient,
                                V* d_drive, V* d_state, V* /*d_parameter*/, const Change& change) {
        const V g = signal[0];
        const V o = signal[1];
        const V xu_f = residual[0];
        const V s_m = state[0];
        const V t0 = log_sigmoid(xu_f) + s_m;
        const V xu_i = residual[1];
        const V i = signal[3];
        const V f = signal[4];
        const V s_c = state[1];
        const V c = signal[5];
        const V s_n = state[2];
        const V n = signal[6];
        const V t1 = c / n;
        const V d_h = change.back(7, gradient[7]);
        const V t2 = d_h * o;
        const V t3 = constant<V>(1.0) / n;
        const V d_n = change.back(6, gradient[6] - t2 * (t1 * t3));
        const V d_s_n = d_n * f;
        const V d_c = change.back(5, gradient[5] + t2 * t3);
        const V d_s_c = d_c * f;
        const V d_f = change.back(4, gradient[4] + d_n * s_n + d_c * s_c);
        const V before_f = change.before(4, signal[4]);
        const V t4 = d_f * before_f;
        const V d_i = change.back(3, gradient[3] + d_n + d_c * g);
        const V before_i = change.before(3, signal[3]);
        const V t5 = d_i * before_i;
        const V d_m = change.back(2, gradient[2] - t4 - t5);
        const V d_s_m = t4 + d_m * above(t0, xu_i);
        const V d_xu_i = t5 + d_m * above(xu_i, t0);
        const V d_xu_f = d_s_m * sigmoid(-xu_f);
        const V d_o = change.back(1, gradient[1] + d_h * t1);
        const V before_o = change.before(1, signal[1]);
        const V d_xu_o = d_o * (before_o * (constant<V>(1.0) - before_o));
        const V d_g = change.back(0, gradient[0] + d_c * i);
        const V before_g = change.before(0, signal[0]);
        const V d_xu_g = d_g * (constant<V>(1.0) - before_g * before_g);
        d_drive[0] = d_xu_g;
        d_drive[1] = d_xu_o;
        d_drive[2] = d_xu_f;
        d_drive[3] = d_xu_i;
        d_state[0] = d_s_m;
        d_state[1] = d_s_c;
        d_state[2] = d_s_n;
        d_state[3] = constant<V>(0.0);
    }
};

#define GATESCOPE_CELLS(X) \
    X(feedforward) \
    X(elman) \
    X(elman_sigmoid) \
    X(elman_relu) \
    X(lstm_1997) \
    X(lstm) \
    X(peephole) \
    X(coupled) \
    X(gru) \
    X(mingru) \
    X(slstm)
