"""Other collections: pytorchcv, pretrainedmodels, vit-pytorch, x-transformers, tables, signals, coordinates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]


def _cv(name: str, size: int = 224) -> Built:
    from pytorchcv.model_provider import get_model

    return get_model(name, pretrained=False), (torch.randn(2, 3, size, size),)


def _pretrained(name: str, size: int = 96) -> Built:
    import pretrainedmodels

    settings: dict[str, Any] = {"num_classes": 1000, "pretrained": None}
    return pretrainedmodels.__dict__[name](**settings), (torch.randn(2, 3, size, size),)


def _vit(name: str, kind: str, settings: dict[str, Any], size: int = 32) -> Built:
    import importlib

    module = importlib.import_module(f"vit_pytorch.{name}")
    return getattr(module, kind)(**settings), (torch.randn(2, 3, size, size),)


def _made(name: str, make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Built:
    return make(), tuple(torch.randn(shape) for shape in shapes)


def _ids(name: str, make: Callable[[], nn.Module]) -> Built:
    return make(), (torch.randint(0, 50, (2, 16)),)


def _load(module: str, kind: str, *args: Any, **settings: Any) -> Any:
    import importlib

    return getattr(importlib.import_module(module), kind)(*args, **settings)


def _x_decoder(**settings: Any) -> nn.Module:
    import x_transformers

    return x_transformers.TransformerWrapper(  # type: ignore[no-any-return]
        num_tokens=50, max_seq_len=16, attn_layers=x_transformers.Decoder(dim=32, depth=1, heads=2, **settings)
    )


def _tabnet() -> nn.Module:
    model = _load("pytorch_tabnet.tab_network", "TabNet", 6, 3, n_d=4, n_a=4, n_steps=2,
                  group_attention_matrix=torch.eye(6))  # fmt: skip
    return wrapped(model, lambda m, x: m(x)[0])


def _clip() -> Built:
    import open_clip

    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1}
    model = open_clip.CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text)
    return wrapped(model, lambda m, x: m.encode_image(x)), (torch.randn(2, 3, 32, 32),)


def _efficientnet() -> nn.Module:
    from efficientnet_pytorch import EfficientNet

    return EfficientNet.from_name("efficientnet-b0", num_classes=10)  # type: ignore[no-any-return]


def _monotonic() -> nn.Module:
    import monotonicnetworks as mn

    body = nn.Sequential(
        mn.LipschitzLinear(4, 8, kind="one-inf"), mn.GroupSort(2), mn.LipschitzLinear(8, 1, kind="inf")
    )
    return mn.MonotonicWrapper(body, monotonic_constraints=[1, 0, 0, 0])  # type: ignore[no-any-return]


def _axial() -> nn.Module:
    inner = _load("axial_positional_embedding", "AxialPositionalEmbedding", dim=16, axial_shape=(3, 4))
    return wrapped(inner, lambda m, x: torch.relu(x + m(x)))


def _conformer() -> Any:
    return _load("conformer", "ConformerBlock", dim=16, dim_head=8, heads=2)


_VIT = {"image_size": 32, "patch_size": 8, "num_classes": 5, "dim": 32, "depth": 1, "heads": 2, "mlp_dim": 32}
_ROWS = (2, 12, 16)

ENTRIES: tuple[Entry, ...] = (
    *table("pytorchcv", _cv, (
        ("resnet20_cifar10", True, 32), ("preresnet10", True), ("diracnet18v2", True), ("bninception", True),
        ("sqnxt23_w1", True), ("peleenet", True), ("menet108_8x1_g3", False), ("shufflenet_g1_wd4", True),
        ("igcv3_wd4", True), ("condensenet74_c4_g4", True), ("bam_resnet18", False), ("cbam_resnet18", False),
        ("darknet_tiny", True), ("hardnet39ds", True), ("revnet38", True), ("octresnet10_ad2", True),
    ), "pytorchcv"),
    *table("pretrainedmodels", _pretrained, (
        ("nasnetamobile", True, 224), ("se_resnet50", False, 224),
    ), "pretrainedmodels"),
    *table("vit_pytorch", _vit, (
        ("vit", False, "ViT", _VIT), ("simple_vit", False, "SimpleViT", _VIT), ("deepvit", False, "DeepViT", _VIT),
        ("cait", False, "CaiT", {**_VIT, "cls_depth": 1}), ("parallel_vit", False, "ViT", _VIT),
        ("normalized_vit", False, "nViT", {**_VIT, "dim_head": 16}),
        ("vit_for_small_dataset", False, "ViT", _VIT),
        ("simple_vit_with_fft", False, "SimpleViT", {**_VIT, "freq_patch_size": 8}),
        ("vit_with_patch_merger", False, "ViT", _VIT),
        ("t2t", False, "T2TViT", {k: v for k, v in _VIT.items() if k != "patch_size"}),
    ), "vit_pytorch", "einops"),
    *table("x_transformers", _ids, (
        ("decoder", False, lambda: _x_decoder()), ("decoder_rotary", False, lambda: _x_decoder(rotary_pos_emb=True)),
        ("decoder_alibi", False, lambda: _x_decoder(alibi_pos_bias=True)),
        ("decoder_swiglu_rms", False, lambda: _x_decoder(ff_glu=True, ff_swish=True, use_rmsnorm=True)),
    ), "x_transformers"),
    *table("misc", _made, (
        ("siren", False, lambda: _load("siren_pytorch", "SirenNet", 2, 16, 1, 3), (4, 2)),
        ("efficientnet_pytorch_b0", False, lambda: _efficientnet(), (2, 3, 64, 64)),
        ("perceiver", False, lambda: _load("perceiver_pytorch", "Perceiver", input_channels=3, input_axis=2,
            num_freq_bands=2, max_freq=4.0, depth=1, num_latents=8, latent_dim=16, num_classes=3,
            cross_dim_head=8, latent_dim_head=8), (2, 8, 8, 3)),
        ("performer", False, lambda: _load("performer_pytorch", "Performer", dim=16, depth=1, heads=2, dim_head=8),
        _ROWS),
        ("linformer", False, lambda: _load("linformer", "Linformer", dim=16, seq_len=12, depth=1, heads=2, k=4), _ROWS),
        ("conformer", False, _conformer, _ROWS),
        ("lambda_layer", False, lambda: _load("lambda_networks", "LambdaLayer", dim=8, dim_out=8, n=4, dim_k=4, heads=2,
            dim_u=1), (2, 8, 4, 4)),
        ("g_mlp", False, lambda: _load("g_mlp_pytorch", "gMLPVision", image_size=16, patch_size=4, num_classes=3,
            dim=16,
            depth=1), (2, 3, 16, 16)),
        ("mlp_mixer", False, lambda: _load("mlp_mixer_pytorch", "MLPMixer", image_size=16, channels=3, patch_size=4,
            dim=16, depth=1, num_classes=3), (2, 3, 16, 16)),
        ("axial_positions", True, _axial, _ROWS),
        ("tabnet", None, _tabnet, (4, 6)),
        ("rtdl_mlp", True, lambda: _load("rtdl_revisiting_models", "MLP", d_in=5, d_out=2, n_blocks=2, d_block=16,
            dropout=0.1), (4, 5)),
        ("rtdl_resnet", True, lambda: _load("rtdl_revisiting_models", "ResNet", d_in=5, d_out=2, n_blocks=2, d_block=16,
            d_hidden=None, d_hidden_multiplier=2.0, dropout1=0.1, dropout2=0.0), (4, 5)),
        ("monotonic_net", True, _monotonic, (4, 4)),
    )),
    Entry("misc/open_clip_image", _clip, False, ("open_clip",)),
)  # fmt: skip
