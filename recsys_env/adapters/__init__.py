"""One short file per trainer library; each imports its library lazily."""
