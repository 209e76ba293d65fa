"""CUDA kernels executed on the CPU, for machines without a GPU and without a compiler.

cuda_on_cpu.h   the language: threads as fibers, barriers, shared memory, faults
build.py        a .cu file and the header compiled by Zig's clang, which comes as a wheel
arena.py        arrays between pages that fault
emulated.py     a `gpu.cuda.backend.Backend` made of these
"""
