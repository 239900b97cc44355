"""Take a mammography model to a new hospital, machine or modality, and prove that it works there."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: worker processes import this too."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import metadata

    try:
        return metadata.version("mammo_tf")
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"
