"""Campaigns: many inputs, crashes and histories, drawn from a seed, against what the project guarantees."""
