"""What a loss cannot come down to, whatever is learned."""
