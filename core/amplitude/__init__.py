"""Amplitude's side: the Export API's door and what is in its archives."""
