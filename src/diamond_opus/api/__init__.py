"""The HTTP edge: who asks, what they may, and how answers and errors look."""
