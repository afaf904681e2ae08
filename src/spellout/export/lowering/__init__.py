"""Every kind of model as a step: one file for each way in which models are made."""
