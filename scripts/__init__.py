"""What maintainers run through make; nothing of it is needed by a flow run."""
