"""Which of the lines that were made are valid, as a function or a command of the user says."""
