"""Words and pictures about graphs: drawings, pages that play backpropagation, explanations, formulas."""
