"""timm: some ninety architectures, small variants on small images."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.coverage_models.entry import Built, Entry, table

__all__ = ["ENTRIES"]


def _plain(name: str, size: int = 64) -> Built:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=10), (torch.randn(2, 3, size, size),)


def _sized(name: str, size: int, **settings: Any) -> Built:
    """Build a model whose layers depend on the size of its image."""
    import timm

    model = timm.create_model(name, pretrained=False, num_classes=10, img_size=size, **settings)
    return model, (torch.randn(2, 3, size, size),)


CONVOLUTIONAL = (
    # ReLU, ReLU6, leaky ReLU, pooling, batch norm: piecewise affine
    ("resnet18", True), ("resnet10t", True), ("resnext50_32x4d", True), ("resnetblur50", True), ("resnetv2_50", True),
    ("regnetx_002", True), ("mobilenetv2_050", True), ("mobilenetv4_conv_small_035", True), ("vgg11_bn", True, 32),
    ("densenet121", True), ("inception_v4", True, 96), ("legacy_xception", True), ("dla34", True),
    ("hrnet_w18_small", True), ("repvgg_a0", True), ("mobileone_s0", True), ("res2net50_26w_4s", True),
    ("gernet_s", True), ("tf_efficientnet_lite0", True), ("darknet53", True), ("cspdarknet53", True),
    ("vovnet39a", True), ("selecsls42", True), ("dpn68", True), ("hgnetv2_b0", True), ("nf_resnet26", True),
    ("convmixer_768_32", True, 32),
    # gates, attention, GELU, SiLU, layer or group norm: not
    ("efficientnet_b0", False), ("mobilenetv3_small_050", False), ("regnety_002", False), ("ghostnet_050", False),
    ("ghostnetv2_100", False), ("repghostnet_050", False), ("mixnet_s", False), ("resnest14d", False),
    ("skresnet18", False), ("seresnet18", False), ("eca_nfnet_l0", False), ("nf_regnet_b0", False),
    ("resnetv2_50x1_bit", False), ("rexnet_100", False), ("lcnet_050", False), ("convnext_atto", False),
    ("convnextv2_atto", False), ("starnet_s1", False), ("repvit_m0_9", False),
    ("fasternet_t0", False), ("inception_next_atto", False), ("mambaout_femto", False),
    ("lambda_resnet26t", False, 256), ("focalnet_tiny_srf", False), ("poolformer_s12", False), ("pvt_v2_b0", False),
    ("edgenext_xx_small", False, 128), ("fastvit_t8", False), ("mobilevit_xxs", False), ("mobilevitv2_050", False),
    ("efficientvit_b0", False), ("davit_tiny", False), ("xcit_nano_12_p16_224", False), ("gcvit_xxtiny", False, 224),
    ("shvit_s1", False, 128), ("swiftformer_xs", False, 224),
)  # fmt: skip

SIZED = (
    ("vit_tiny_patch16_224", False, 64), ("vit_small_patch14_dinov2", False, 56), ("deit_tiny_patch16_224", False, 64),
    ("swin_tiny_patch4_window7_224", False, 56), ("swinv2_tiny_window8_256", False, 64),
    ("beit_base_patch16_224", False, 64), ("cait_xxs24_224", False, 64), ("levit_128s", False, 224),
    ("mixer_s32_224", False, 64), ("resmlp_12_224", False, 64), ("gmlp_ti16_224", False, 64),
    ("maxvit_rmlp_pico_rw_256", False, 128), ("coatnet_nano_rw_224", False, 64), ("twins_svt_small", False, 64),
    ("eva02_tiny_patch14_224", False, 56), ("tiny_vit_5m_224", False, 224), ("efficientformer_l1", False, 224),
    ("efficientformerv2_s0", False, 64), ("nest_tiny", False, 224), ("crossvit_tiny_240", False, 240),
    ("convit_tiny", False, 64), ("volo_d1_224", False, 64), ("coat_lite_tiny", False, 64), ("mvitv2_tiny", False, 64),
    ("sequencer2d_s", False, 56), ("hiera_tiny_224", False, 64), ("tnt_s_legacy_patch16_224", False, 64),
    ("pit_ti_224", False, 64), ("visformer_tiny", False, 64), ("efficientvit_m0", False, 224),
)  # fmt: skip

_FREE = {"levit_128s", "efficientformer_l1", "efficientvit_m0", "tiny_vit_5m_224"}  # take no img_size

ENTRIES: tuple[Entry, ...] = (
    *table("timm", _plain, CONVOLUTIONAL, "timm"),
    *table("timm", _plain, (row for row in SIZED if row[0] in _FREE), "timm"),
    *table("timm", _sized, (row for row in SIZED if row[0] not in _FREE), "timm"),
)
