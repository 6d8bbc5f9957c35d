"""The verbs: one task a file. Each opens the doors, calls core, logs one line and returns a small receipt."""
