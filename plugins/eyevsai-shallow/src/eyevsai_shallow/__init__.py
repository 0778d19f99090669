"""The `shallow` family: hand-made features and scikit-learn classifiers."""
