"""A computation graph drawn: `sketch` says what is shown, `order`, `layout` and `fold` where, `svg` and `dot` how."""
