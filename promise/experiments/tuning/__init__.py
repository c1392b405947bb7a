"""Studies by Optuna: which dials to try next, where that is kept, and what was found."""
