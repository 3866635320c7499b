"""The errors of this package. They have one base class, so that a caller can catch all of them or one kind.

RepVitSamError
├── PhotoError         (ValueError)    a file or array that is no photo
├── PromptError        (ValueError)    points, boxes or masks of the wrong shape, type or range
├── PhotoNotSetError   (RuntimeError)  a prediction before a photo was set
├── CheckpointError    (ValueError)    a file that is no checkpoint, or not one for this model
├── FetchError         (OSError)       a download that failed
├── ExportError        (RuntimeError)  an export that cannot be made, or does not compute the same as the model
└── JobError           (RuntimeError)  a long run that had to stop, and can go on

Every message is one sentence: what was expected, what was given, what to do.
"""


class RepVitSamError(Exception):
    """Base class of all errors that this package raises on purpose.

    Example:
        >>> import repvit_sam
        >>> try:
        ...     repvit_sam.load("no_such_name")
        ... except repvit_sam.RepVitSamError as error:
        ...     print(type(error).__name__)
        CheckpointError
    """


class PhotoError(RepVitSamError, ValueError):
    """The input cannot be read as a photo.

    Example:
        >>> import repvit_sam
        >>> repvit_sam.read_photo("none.jpg")
        Traceback (most recent call last):
        repvit_sam.errors.PhotoError: none.jpg does not exist
    """


class PromptError(RepVitSamError, ValueError):
    """A prompt has the wrong shape, type or range.

    Example:
        >>> import repvit_sam
        >>> predictor = repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu", canvas=256))
        >>> predictor.set_image(repvit_sam.example_photo("coffee"))
        >>> predictor.predict([[300, 200]])
        Traceback (most recent call last):
        repvit_sam.errors.PromptError: point_coords need point_labels: 1 for the object, 0 for background
    """


class PhotoNotSetError(RepVitSamError, RuntimeError):
    """``predict`` or the embedding was asked for before ``set_image``.

    Example:
        >>> import repvit_sam
        >>> repvit_sam.SamPredictor(repvit_sam.load("small", device="cpu")).predict(box=[170, 12, 425, 282])
        Traceback (most recent call last):
        repvit_sam.errors.PhotoNotSetError: no photo is set; call set_image(photo) first
    """


class CheckpointError(RepVitSamError, ValueError):
    """The file cannot be read as a checkpoint, or does not fit the model.

    Example:
        >>> import repvit_sam
        >>> repvit_sam.load("none.safetensors")
        Traceback (most recent call last):
        repvit_sam.errors.CheckpointError: none.safetensors does not exist
    """


class FetchError(RepVitSamError, OSError):
    """A checkpoint (``repvit-sam weights fetch``) or a text detector could not be downloaded.

    Example:
        >>> import repvit_sam
        >>> issubclass(repvit_sam.FetchError, OSError)
        True
    """


class ExportError(RepVitSamError, RuntimeError):
    """A model could not be exported, or the export does not compute the same as the model (``repvit-sam export``).

    Example:
        >>> import repvit_sam
        >>> issubclass(repvit_sam.ExportError, RuntimeError)
        True
    """


class JobError(RepVitSamError, RuntimeError):
    """A long run had to stop, because a worker died or a disk is full; the same command goes on (``annotate``).

    Example:
        >>> import repvit_sam
        >>> issubclass(repvit_sam.JobError, RuntimeError)
        True
    """
