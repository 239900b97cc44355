"""Take a mammography model to a new hospital, machine or modality, and prove that it works there."""
