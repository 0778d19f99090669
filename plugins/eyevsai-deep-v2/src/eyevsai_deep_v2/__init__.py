"""The `deep-v2` family: residual and dense nets with attention."""
