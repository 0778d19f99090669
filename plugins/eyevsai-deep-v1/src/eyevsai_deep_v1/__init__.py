"""The `deep-v1` family: a plain convolutional net and a residual one."""
