"""torch.nn alone: transformers, odd layers, usual constructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]


def _module(name: str, make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Built:
    return make(), tuple(torch.randn(shape) for shape in shapes)


def _function(name: str, function: Callable[..., Any], *shapes: tuple[int, ...]) -> Built:
    """Build a function behind a linear layer, so that there are parameters."""
    width = shapes[0][-1]
    model = wrapped(nn.Linear(width, width), lambda m, x, *rest: function(m(x), *rest))
    return model, tuple(torch.randn(shape) for shape in shapes)


class _Unpool(nn.Module):
    """Max pooling, and back by its indices."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.back = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y, index = self.pool(self.conv(x))
        result: Tensor = self.back(torch.relu(y), index)
        return result


class _Maxout(nn.Module):
    """The largest of three affine maps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).reshape(-1, 4, 3).amax(-1)  # type: ignore[no-any-return]


class _Gates(nn.Module):
    """Mixture of experts: softmax gates over ReLU networks."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        return torch.einsum("boe,be->bo", outputs, self.gate(x).softmax(-1))


class _Siamese(nn.Module):
    """Two inputs, one network, the distance of their images in the 1-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.1), nn.Linear(8, 3))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.body(x) - self.body(y)).abs().sum(-1)  # type: ignore[no-any-return]


def _convolution(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *layers)


def _normed(name: str, make: Callable[[nn.Module], nn.Module]) -> Built:
    return nn.Sequential(make(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 2)), (torch.randn(2, 4),)


def _bags(name: str, mode: str) -> Built:
    model = nn.Sequential(nn.EmbeddingBag(20, 6, mode=mode), nn.ReLU(), nn.Linear(6, 3))
    return model, (torch.randint(0, 20, (2, 5)),)


def _attention(name: str, settings: dict[str, Any]) -> Built:
    model = nn.MultiheadAttention(8, 2, batch_first=True, **settings)
    return wrapped(model, lambda m, x: m(x, x, x)), (torch.randn(2, 5, 8),)


def _transformer(name: str, settings: dict[str, Any]) -> Built:
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True, **settings)
    return model, (torch.randn(2, 5, 8), torch.randn(2, 4, 8))


def _encoder(name: str, settings: dict[str, Any]) -> Built:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **settings)
    return nn.TransformerEncoder(layer, 2), (torch.randn(2, 5, 8),)


def _causal(name: str) -> Built:
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    model = wrapped(nn.TransformerDecoder(layer, 1), lambda m, x, y: m(x, y, tgt_mask=mask, tgt_is_causal=True))
    return model, (torch.randn(2, 5, 8), torch.randn(2, 4, 8))


_IMAGE = (2, 3, 8, 8)

ENTRIES: tuple[Entry, ...] = (
    *table("plain", _module, (
        ("prelu", True, lambda: _convolution(nn.PReLU(8)), _IMAGE),
        ("celu", False, lambda: _convolution(nn.CELU()), _IMAGE),
        ("rrelu", True, lambda: _convolution(nn.RReLU()), _IMAGE),
        ("hardshrink", True, lambda: _convolution(nn.Hardshrink()), _IMAGE),
        ("softshrink", True, lambda: _convolution(nn.Softshrink()), _IMAGE),
        ("hardtanh", True, lambda: _convolution(nn.Hardtanh()), _IMAGE),
        ("hardsigmoid", True, lambda: _convolution(nn.Hardsigmoid()), _IMAGE),
        ("threshold", True, lambda: _convolution(nn.Threshold(0.1, 0.1)), _IMAGE),
        ("softsign_mish_selu", False, lambda: _convolution(nn.Softsign(), nn.Mish(), nn.SELU()), _IMAGE),
        ("logsigmoid_softplus", False, lambda: _convolution(nn.LogSigmoid(), nn.Softplus(), nn.Tanhshrink()), _IMAGE),
        ("glu", False, lambda: _convolution(nn.GLU(1)), _IMAGE),
        ("group_instance_norm", False, lambda: _convolution(nn.GroupNorm(2, 8), nn.ReLU(), nn.InstanceNorm2d(8)),
        _IMAGE),
        ("response_norm", False, lambda: _convolution(nn.LocalResponseNorm(2)), _IMAGE),
        ("pixel_shuffle", True, lambda: _convolution(nn.PixelShuffle(2), nn.ReLU(), nn.PixelUnshuffle(2)), _IMAGE),
        ("channel_shuffle", True, lambda: _convolution(nn.ChannelShuffle(4), nn.ReLU()), _IMAGE),
        ("max_unpool", True, _Unpool, _IMAGE),
        ("fractional_pool", None, lambda: _convolution(nn.FractionalMaxPool2d(2, output_size=4,
            _random_samples=torch.full((2, 8, 2), 0.5))), _IMAGE),
        ("lp_pool", False, lambda: _convolution(nn.LPPool2d(2, 2)), _IMAGE),
        ("adaptive_max_pool", True, lambda: _convolution(nn.AdaptiveMaxPool2d(3)), _IMAGE),
        ("adaptive_average_pool", True, lambda: _convolution(nn.ReLU(), nn.AdaptiveAvgPool2d(3)), _IMAGE),
        ("pads", True, lambda: nn.Sequential(nn.ReflectionPad2d(2), nn.ReplicationPad2d(1), nn.CircularPad2d(1),
            nn.ZeroPad2d(1), nn.Conv2d(3, 2, 3), nn.ReLU()), _IMAGE),
        ("padding_modes", True, lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(),
            nn.Conv2d(4, 2, 3, padding="same", padding_mode="reflect")), _IMAGE),
        ("transposed_convolutions", True, lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3, 2, 1, 1), nn.ReLU(),
            nn.ConvTranspose2d(4, 2, 2, 2, groups=2)), _IMAGE),
        ("convolutions_1d", True, lambda: nn.Sequential(nn.Conv1d(3, 6, 3, dilation=2), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(6, 2, 3, groups=2)), (2, 3, 16)),
        ("convolutions_3d", True, lambda: nn.Sequential(nn.Conv3d(1, 3, 3), nn.ReLU(), nn.MaxPool3d(2),
            nn.AvgPool3d(2)), (2, 1, 10, 10, 10)),
        ("upsample_bilinear", True, lambda: _convolution(nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear")),
        _IMAGE),
        ("upsample_bicubic", True, lambda: _convolution(nn.ReLU(), nn.Upsample(scale_factor=2, mode="bicubic")),
        _IMAGE),
        ("fold_unfold", True, lambda: nn.Sequential(nn.Unfold(2, stride=2), nn.ReLU(), nn.Fold((8, 8), 2, stride=2)),
        _IMAGE),
        ("bilinear", False, lambda: nn.Bilinear(4, 3, 5), (2, 4), (2, 3)),
        ("cosine_similarity", False, lambda: nn.CosineSimilarity(), (2, 4), (2, 4)),
        ("pairwise_distance", False, lambda: nn.PairwiseDistance(), (2, 4), (2, 4)),
        ("maxout", True, _Maxout, (2, 5)), ("mixture_of_experts", False, _Gates, (2, 4)),
        ("siamese", True, _Siamese, (2, 4), (2, 4)),
        ("rms_norm", False, lambda: nn.Sequential(nn.Linear(4, 6), nn.RMSNorm(6), nn.SiLU()), (2, 4)),
        ("gelu_tanh", False, lambda: nn.Sequential(nn.Linear(4, 6), nn.GELU("tanh"), nn.Softmin(-1)), (2, 4)),
        ("unflatten", True, lambda: nn.Sequential(nn.Linear(4, 8), nn.Unflatten(1, (2, 4)), nn.ReLU(), nn.Flatten()),
        (2, 4)),
    )),
    *table("plain", _function, (
        ("sort", True, lambda x: x.sort(-1).values, (2, 6)), ("top_k", True, lambda x: x.topk(2).values, (2, 6)),
        ("median", True, lambda x: x.median(-1).values, (2, 5)),
        ("k_winners", True, lambda x: torch.where(x >= x.topk(2).values[..., -1:], x, 0.0), (2, 6)),
        ("cumulative", True, lambda x: torch.relu(x.cumsum(-1)).flip(-1), (2, 6)),
        ("cummax", True, lambda x: x.cummax(-1).values, (2, 6)),
        ("einsum", False, lambda x: torch.einsum("bi,bj->bij", x, x), (2, 6)),
        ("sliding_windows", True, lambda x: x.unfold(1, 3, 1).amax(-1), (2, 8)),
        ("grid_sample_affine", True, lambda x: F.grid_sample(x, F.affine_grid(
            torch.tensor([[[0.8, 0.1, 0.0], [0.0, 0.9, 0.1]]]).expand(x.shape[0], -1, -1), list(x.shape),
            align_corners=False), align_corners=False), (2, 3, 8, 8)),
        ("cdist", False, lambda x: torch.cdist(x, torch.ones(3, 6)), (2, 6)),
        ("logsumexp", False, lambda x: x.logsumexp(-1) + x.logcumsumexp(-1).mean(-1), (2, 6)),
        ("variance", False, lambda x: (x.var(-1) + x.std(-1)), (2, 6)),
        ("norms", False, lambda x: x.norm(dim=-1) + F.normalize(x, dim=-1).sum(-1), (2, 6)),
        ("norm_1_inf", True, lambda x: x.norm(1, -1) + x.norm(float("inf"), -1), (2, 6)),
        ("product", False, lambda x: x.prod(-1), (2, 4)), ("fft", None, lambda x: torch.fft.rfft(x).real, (2, 8)),
        ("spectrum", False, lambda x: torch.fft.rfft(x).abs(), (2, 8)),
        ("minimum_of_two", True, lambda x, y: torch.minimum(x, y) - torch.maximum(x, 0.5 * y), (2, 4), (2, 4)),
        ("signs", True, lambda x: torch.sign(x) + torch.heaviside(x, torch.tensor(0.5)) + x.round(), (2, 4)),
        ("polynomial", False, lambda x: x**3 - 2 * x.square() + x.pow(0.5).nan_to_num(), (2, 4)),
        ("trigonometry", False, lambda x: torch.atan2(x.sin(), x.cos() + 2) + x.sinh().asinh(), (2, 4)),
        ("clamp_to_live", True, lambda x, y: torch.clamp(x, -y.abs(), y.abs()), (2, 4), (2, 4)),
        ("scatter", True, lambda x: torch.zeros_like(x).index_add(1, torch.tensor([0, 0, 2, 1]), x.relu()), (2, 4)),
        ("gather", True, lambda x: x.relu()[:, [2, 0, 1]].take_along_dim(torch.tensor([[1, 2]]), 1), (2, 4)),
        ("roll_tile", True, lambda x: x.roll(1, -1).repeat(1, 2).tile(2).relu(), (2, 4)),
        ("diagonal", True, lambda x: torch.diag_embed(x).relu().diagonal(dim1=-2, dim2=-1), (2, 4)),
        ("triangle", True, lambda x: x.relu().tril(), (2, 4, 4)),
        ("matrix_inverse", False, lambda x: torch.linalg.inv(x + 4 * torch.eye(4)), (2, 4, 4)),
        ("log_det", False, lambda x: torch.linalg.slogdet(x + 4 * torch.eye(4))[1], (2, 4, 4)),
    )),
    *table("plain", _normed, (
        ("weight_norm", True, lambda m: nn.utils.parametrizations.weight_norm(m)),
        ("spectral_norm", True, lambda m: nn.utils.parametrizations.spectral_norm(m)),
        ("orthogonal", True, lambda m: nn.utils.parametrizations.orthogonal(m)),
        ("old_weight_norm", True, lambda m: nn.utils.weight_norm(m)),
    )),
    *table("plain", _bags, (("embedding_bag_sum", True, "sum"), ("embedding_bag_mean", True, "mean"))),
    *table("plain", _attention, (
        ("attention", False, {}), ("attention_extras", False, {"add_bias_kv": True, "add_zero_attn": True}),
    )),
    *table("plain", _transformer, (
        ("transformer", False, {}), ("transformer_norm_first_gelu", False, {"norm_first": True, "activation": "gelu"}),
    )),
    *table("plain", _encoder, (("encoder", False, {}), ("encoder_norm_first", False, {"norm_first": True}))),
    *table("plain", _causal, (("decoder_causal", False),)),
)  # fmt: skip
