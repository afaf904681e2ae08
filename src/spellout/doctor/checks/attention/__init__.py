"""Attention and Transformers: scores, masks, positions, targets, blocks, and what is kept between calls."""
