// Runs the kernels without Python, so that sanitizers see every access and another processor can be emulated.
int main() { return 0; }
