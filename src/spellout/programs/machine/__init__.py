"""Programs as machine code, written with LLVM."""
