"""From images to the vectors that are clustered (PASS, section 4.3, step 2.2)."""

from mmengine.model import BaseModel
from torch import Tensor

from luss.registry import EMBEDDERS

__all__ = ["ImageEmbeddings"]


@EMBEDDERS.register_module()
class ImageEmbeddings:
    """The model's own embeddings: of pixel attention, the mean of c(z) * z."""

    def embed(self, model: BaseModel, images: Tensor) -> Tensor:
        """Embed images of one size.

        Args:
            model: that was trained, in evaluation mode.
            images: (N, 3, H, W), normalised, on the model's device.

        Returns:
            (N, L) floating point, not normalised.
        """
        return model.embed_images(images)
