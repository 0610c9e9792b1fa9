"""Why a model gave this answer: attribution of generated tokens to what was read, and what it says in numbers."""
