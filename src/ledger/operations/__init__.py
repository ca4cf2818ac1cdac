"""Operations: one module for each kind of thing that a writing command does to a run."""
