"""Projectors of PASS: M_I on pooled embeddings, M_p and M_K on feature maps (section 4.2)."""

from torch import nn

__all__ = ["LinearProjector", "PixelProjector", "init_convolutions"]


def init_convolutions(module: nn.Module) -> None:
    """Initialise all convolutions as the released code does: Kaiming-normal, fan-out.

    Biases and Linear layers keep PyTorch's default.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


class LinearProjector(nn.Sequential):
    """M_I: Linear, BN, ReLU, Linear, BN without affine; (N, in) -> (N, out).

    Args:
        in_channels: channels of the pooled features.
        hidden_channels: channels of the hidden layer.
        out_channels: channels of the embedding.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Linear(in_channels, hidden_channels),
            nn.BatchNorm1d(hidden_channels),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, out_channels),
            nn.BatchNorm1d(out_channels, affine=False),
        )


class PixelProjector(nn.Sequential):
    """M_p and M_K: 1x1 convolutions without bias, each with BN, the last BN without affine.

    (N, in, H, W) -> (N, out, H, W), with ReLU between the layers.

    Args:
        in_channels: channels of the feature map.
        hidden_channels: channels of the hidden layers.
        out_channels: channels of the result.
        num_layers: 3 in the released code, 2 for M_p in the paper.
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, out_channels: int, num_layers: int = 3
    ) -> None:
        layers: list[nn.Module] = []
        for layer in range(num_layers):
            last = layer == num_layers - 1
            width = out_channels if last else hidden_channels
            layers += [
                nn.Conv2d(in_channels if layer == 0 else hidden_channels, width, 1, bias=False),
                nn.BatchNorm2d(width, affine=not last),
            ]
            if not last:
                layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)
        init_convolutions(self)
