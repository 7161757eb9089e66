"""Who may send how much: callers, the rules of the settings, and the limits that hold for all workers."""
