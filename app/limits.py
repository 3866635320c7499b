"""What the page accepts. ``Handlers.about`` tells the page, which says so before anything is sent."""

MAX_UPLOAD = 64 * 2**20  # bytes of one file
MAX_PIXELS = 50_000_000  # of one photo
MAX_PROMPT_SETS = 32  # of one chain
MAX_POINTS = 64  # of one prompt set
MAX_LAYERS = 400
MAX_CORNERS = 10_000  # of one brush stroke or one loop of an outline
MAX_UNANSWERED = 100  # changes of a photo's labels whose answers were lost
MAX_OBJECTS = 2000  # of a photo that is labelled
