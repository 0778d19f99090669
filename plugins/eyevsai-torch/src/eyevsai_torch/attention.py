"""Attention: which channels to trust, where to look, and pixels that look at each other."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["CBAM", "ChannelAttention", "SelfAttention2d", "SpatialAttention", "SqueezeExcite"]

_LEAST = 8  # hidden units


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018, section 3).

    Multiplies each channel of (n, channels, height, width) by a share 0..1: the sigmoid of a
    perceptron on all channels' means, with `channels` / `reduction` hidden units, at least 8.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, _LEAST)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the weighted channels, in the shape of `values`."""
        means = functional.adaptive_avg_pool2d(values, 1).flatten(1)
        shares = torch.sigmoid(self.excite(functional.relu(self.squeeze(means))))
        return values * shares[:, :, None, None]


class ChannelAttention(nn.Module):
    """The channel half of CBAM (Woo et al. 2018, section 3.1).

    One perceptron sees all channels' means, and then their maxima; the share of a channel is the
    sigmoid of the sum.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, _LEAST)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the weighted channels, in the shape of `values`."""
        pooled = [
            functional.adaptive_avg_pool2d(values, 1).flatten(1),
            functional.adaptive_max_pool2d(values, 1).flatten(1),
        ]
        mean, most = (self.excite(functional.relu(self.squeeze(each))) for each in pooled)
        return values * torch.sigmoid(mean + most)[:, :, None, None]


class SpatialAttention(nn.Module):
    """The spatial half of CBAM (Woo et al. 2018, section 3.2).

    The share of a place is the sigmoid of a convolution over two planes, the mean and the maximum
    over the channels.
    """

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.look = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the weighted places, in the shape of `values`."""
        # Not amax: its gradient looks for the maximum again, among values that a compiler may
        # have rounded otherwise, and is no number where it finds none.
        most = values.max(1, keepdim=True).values
        planes = torch.cat([values.mean(1, keepdim=True), most], dim=1)
        return values * torch.sigmoid(self.look(planes))


class CBAM(nn.Module):
    """Convolutional block attention: channels first, then places (Woo et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        self.channels = ChannelAttention(channels, reduction)
        self.places = SpatialAttention(kernel)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the weighted values, in the shape of `values`."""
        weighted: torch.Tensor = self.places(self.channels(values))
        return weighted


class SelfAttention2d(nn.Module):
    """Multi-head attention between all places (Vaswani et al. 2017; Bello et al. 2019).

    The result is added to the values times a learned number that begins at 0 (Zhang et al. 2019),
    so that a new layer changes nothing. `channels` must be a multiple of `heads`.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.answer = nn.Conv2d(channels, channels, 1, bias=False)
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return (n, channels, height, width), as `values`."""
        n, channels, height, width = values.shape
        asked = self.ask(values).flatten(2)  # (n, 3 channels, places)
        split = asked.reshape(n, 3, self.heads, channels // self.heads, height * width)
        query, key, value = split.transpose(3, 4).unbind(1)  # (n, heads, places, depth)
        seen = functional.scaled_dot_product_attention(query, key, value)
        planes = seen.transpose(2, 3).reshape(n, channels, height, width)
        found: torch.Tensor = values + self.share * self.answer(planes)
        return found
