"""Counting models."""
