"""What can go wrong, as one family, so that a caller can catch all of it or one kind.

RepVitSamError
├── PhotoError         (ValueError)    a file or array that is no photo
├── PromptError        (ValueError)    points, boxes or masks of the wrong shape, type or range
├── PhotoNotSetError   (RuntimeError)  a prediction was asked for before a photo was set
├── CheckpointError    (ValueError)    a file that is no checkpoint, or not one for this model
├── FetchError         (OSError)       a download that did not end well
└── ExportError        (RuntimeError)  an export that cannot be made, or does not compute what the model computes

Every message is one sentence for the person at the keyboard: what was expected, what was given, what to do.
"""


class RepVitSamError(Exception):
    """Base of all errors that this package raises on purpose."""


class PhotoError(RepVitSamError, ValueError):
    """The input cannot be read as a photo."""


class PromptError(RepVitSamError, ValueError):
    """A prompt has the wrong shape, type or range."""


class PhotoNotSetError(RepVitSamError, RuntimeError):
    """``predict`` or the embedding was asked for before ``set_image``."""


class CheckpointError(RepVitSamError, ValueError):
    """The file cannot be read as a checkpoint, or does not fit the model."""


class FetchError(RepVitSamError, OSError):
    """A checkpoint could not be downloaded."""


class ExportError(RepVitSamError, RuntimeError):
    """A model could not be exported, or the export does not compute what the model computes."""
