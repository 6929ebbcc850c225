"""The types of values that a configuration holds, one file per kind of thing they describe."""
