"""Tables as they are: pipelines, categories, holes and rules."""
