"""A production server for LLM context compression."""

__version__ = "0.1.0"
