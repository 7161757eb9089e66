"""Token counts that need no vocabulary: a character is a token."""


class Characters:
    """Counts characters. A subclass that counts otherwise overrides `count` alone."""

    def count(self, text: str) -> int:
        return len(text)

    def gauge(self, text: str, sample_chars: int = 0) -> int:
        return self.count(text)
