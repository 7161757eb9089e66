"""What answers cost, and what compression saved of it."""
