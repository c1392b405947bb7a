"""LightningModules: what is trained on what, and the one evaluator of everything that ranks."""
