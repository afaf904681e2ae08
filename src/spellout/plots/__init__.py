"""plots: figures from numbers that others computed. Needs matplotlib, the extra [plots]."""
