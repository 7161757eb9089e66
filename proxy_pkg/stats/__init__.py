"""What this server did, counted once for all its workers.

`catalogue` says what is counted, `counters` counts it, `reading` and `render` answer for all workers.
"""
