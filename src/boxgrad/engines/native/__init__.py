"""The native engine: graphs become machine code for the CPU, through LLVM, without a C compiler.

Read in this order: ``table`` (what becomes of each primitive), ``layout`` (where values lie), ``lower`` and
``fuse`` (from boxes to steps), ``ir``, ``vector`` and ``pointwise`` (from steps to LLVM's text), ``plan``
(memory), ``jit`` and ``cache`` (from text to code), ``pool`` and ``program`` (running it).
"""
