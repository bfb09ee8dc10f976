"""Image to image: U-Nets and other networks of segmentation_models_pytorch, monai, unet, kornia, neuralop."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]


def _segmenter(name: str, encoder: str = "resnet18", size: int = 64) -> Built:
    import segmentation_models_pytorch as smp

    settings: dict[str, Any] = {"encoder_weights": None, "classes": 2}
    return getattr(smp, name.partition("_")[0])(encoder, **settings), (torch.randn(2, 3, size, size),)


def _monai(name: str, settings: dict[str, Any], size: int = 32, dims: int = 2) -> Built:
    from monai.networks import nets

    return getattr(nets, name.partition("_")[0])(**settings), (torch.randn(2, 1, *(size,) * dims),)


def _unet(name: str, settings: dict[str, Any]) -> Built:
    from unet import UNet2D

    return UNet2D(in_channels=1, out_classes=2, num_encoding_blocks=2, out_channels_first_layer=4, padding=1,
                  **settings), (torch.randn(2, 1, 16, 16),)  # fmt: skip


def _descriptor(name: str) -> Built:
    import kornia

    return getattr(kornia.feature, name)(pretrained=False), (torch.rand(2, 1, 32, 32),)


def _operator(name: str) -> Built:
    from neuralop import models

    return models.FNO(n_modes=(4, 4), hidden_channels=8, in_channels=1, out_channels=1, n_layers=2), (
        torch.randn(2, 1, 16, 16),
    )


def _blur() -> torch.nn.Module:
    import kornia

    return wrapped(kornia.filters.GaussianBlur2d((3, 3), (1.0, 1.0)), lambda m, x: torch.relu(m(x) - 0.5))


_PLANE = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}

ENTRIES: tuple[Entry, ...] = (
    *table("dense", _segmenter, (
        ("Unet", True), ("UnetPlusPlus", True), ("FPN", False), ("Linknet", True), ("PSPNet", True),
        ("DeepLabV3", True), ("DeepLabV3Plus", True), ("PAN", False, "resnet18", 128), ("MAnet", False),
        ("UPerNet", False),
        ("Unet_mobilenet", True, "mobilenet_v2"), ("Segformer", True),
    ), "segmentation_models_pytorch"),
    *table("dense", _monai, (
        ("BasicUNet", False, {**_PLANE, "features": (8, 8, 16, 16, 16, 8)}),
        ("UNet_prelu", True, {**_PLANE, "channels": (4, 8, 16), "strides": (2, 2), "num_res_units": 1,
            "norm": "batch"}),
        ("UNet_3d", False, {**_PLANE, "spatial_dims": 3, "channels": (4, 8), "strides": (2,)}, 16, 3),
        ("AttentionUnet", False, {**_PLANE, "channels": (4, 8), "strides": (2,)}),
        ("SegResNet", False, {**_PLANE, "init_filters": 8}),
        ("DynUNet", False, {**_PLANE, "kernel_size": (3, 3, 3), "strides": (1, 2, 2), "upsample_kernel_size": (2, 2)}),
        ("VNet", False, {**_PLANE}), ("UNETR", False, {**_PLANE, "img_size": 32, "feature_size": 8, "hidden_size": 48,
            "mlp_dim": 64, "num_heads": 4}),
        ("SwinUNETR", False, {**_PLANE, "feature_size": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1)}, 64),
        ("HighResNet", True, {**_PLANE, "norm_type": "batch", "acti_type": "relu"}),
        ("AutoEncoder", True, {**_PLANE, "channels": (4, 8), "strides": (2, 2), "norm": "batch"}),
        ("DenseNet121", True, _PLANE), ("ViT", False, {"in_channels": 1, "img_size": 32, "patch_size": 8,
            "hidden_size": 32, "mlp_dim": 32, "num_layers": 1, "num_heads": 4, "spatial_dims": 2}),
    ), "monai"),
    *table("dense", _unet, (
        ("unet_plain", True, {}), ("unet_batch_norm_prelu", True, {"normalization": "batch", "activation": "PReLU"}),
        ("unet_upsampling", True, {"upsampling_type": "linear"}),
    ), "unet"),
    *table("dense", _descriptor, (("HardNet", False), ("SOSNet", False)), "kornia"),
    Entry("dense/kornia_gaussian", lambda: (_blur(), (torch.rand(2, 3, 16, 16),)), True, ("kornia",)),
    *table("dense", _operator, (("FNO", False),), "neuralop"),
)  # fmt: skip
