"""How contenders are measured, and what is told of it."""
