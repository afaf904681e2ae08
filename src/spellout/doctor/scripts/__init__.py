"""A script as it stands is run under hooks, and its model, loss, batch and optimizers are found while it runs."""
