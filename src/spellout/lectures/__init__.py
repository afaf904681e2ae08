"""The results of the course, run again: its own loops, and how fast the models here reach the same losses."""
