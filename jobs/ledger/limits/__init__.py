"""Limits of how many runs perform at once: claims park what exceeds them, ended attempts hand their slots on."""
