"""Everything that ranks items for users: beam searches guided by a reward, exhaustive scoring, count baselines."""
