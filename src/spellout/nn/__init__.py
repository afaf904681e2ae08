"""Neural networks on Values: layers, losses, optimizers and schedules, one idea a file."""
