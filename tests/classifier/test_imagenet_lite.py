"""Where the ImageNet weights of EfficientNet-Lite are kept."""

from saliency_stats.classifier.imagenet_lite import lite_file


def test_they_are_in_this_packages_cache_under_timms_name(monkeypatch, tmp_path):
    monkeypatch.setenv("SALIENCY_STATS_CACHE", str(tmp_path))
    assert lite_file("efficientnet_lite2") == tmp_path / "imagenet" / "tf_efficientnet_lite2.safetensors"
