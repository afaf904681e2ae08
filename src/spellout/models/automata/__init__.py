"""Models as walks among numbered states: what comes next depends on the state alone."""
