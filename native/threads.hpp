// Threads that wait for the next call, and the barrier between the steps of threads that share a sequence.
#pragma once

namespace gatescope {

constexpr int MOST_THREADS = 64;

// OpenMP's library, when another library of the process (PyTorch) has it loaded. Its threads stay awake for a while
// after every use: taking the same ones costs nothing, while others would have to share the processors with them.
// `parallel` is GOMP_parallel, the others are omp_get_thread_num and omp_get_num_threads.
void share_openmp(void* parallel, void* thread_number, void* thread_count);

// The threads of the process for one call, as many as `wanted`; just the calling one while another call has them.
class Threads {
public:
    explicit Threads(int wanted);
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    ~Threads();

    int count() const { return count_; }

    // Gives back those above `count`.
    void keep(int count);

    // work(context, k) for k = 0 .. count() - 1 at the same time, k = 0 on the calling thread; returns when all are
    // done.
    void run(void (*work)(void* context, int worker), void* context);

private:
    void release();

    int count_;
    void* pool_ = nullptr;
};

// Leaves the processor for a moment. Who is waited for may have lost its own to another program, and can have this one.
void rest_thread();

}  // namespace gatescope
