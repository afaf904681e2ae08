"""What people start: the command line, the terminal, and the work behind each command."""
