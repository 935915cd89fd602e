"""One question, one answer: what is asked of models, where the outcomes are kept, and what comes back."""
