"""The native engine: graphs become machine code for the CPU, through LLVM, without a C compiler.

Read in this order: ``table`` (what becomes of each primitive), ``layout`` (where values lie), ``lowering``
and ``fuse`` (from boxes to steps), ``ir``, ``vector``, ``emitters`` and ``pointwise`` (from steps to LLVM's
text), ``microkernel``, ``product`` and ``convolution`` (sums of products), ``plan`` (memory), ``jit`` and
``cache`` (from text to code), ``pool`` and ``program`` (running it).
"""
