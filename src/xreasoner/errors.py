"""What a person can mend. Every message is one sentence that names the fix; the CLI prints it and exits with 2."""


class UserError(ValueError):
    """Base of all errors a user can mend without reading our code."""


class RecipeError(UserError):
    """The recipe, or an override of it, cannot mean anything."""


class ModelError(UserError):
    """A checkpoint is missing, of another shape, or of a family that is not in FAMILIES."""


class DataError(UserError):
    """A dataset is missing, malformed, or holds what its use forbids (an image in training)."""


class RunError(UserError):
    """A run folder cannot be used as asked: another recipe's, locked, or on a full disk."""


class StageFailed(RuntimeError):
    """A stage died; carries the last line it wrote. Not mendable by a recipe, so the CLI exits with 1."""
