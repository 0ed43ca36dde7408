"""Record what the reference StarDist on TensorFlow predicts, for the parity test that runs without TensorFlow.

    pip install stardist tensorflow-cpu tf_keras
    TF_USE_LEGACY_KERAS=1 python tests/compartments/golden/stardist_reference.py

Three small models with fixed random weights are written as StarDist's own folders, and beside each an image with the
reference's probabilities, distances and instances. The weights mean nothing; that every layer, the padding, the grid,
the suppression and the drawing agree does.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

GOLDEN = Path(__file__).parent / "stardist"
SMALL = {"n_rays": 16, "unet_n_depth": 2, "unet_n_filter_base": 8, "net_conv_after_unet": 16}
#: name: (configuration, image size); no size is a multiple of what the network divides by
CASES = {
    "grid1_grey": (SMALL | {"grid": (1, 1), "n_channel_in": 1}, (75, 90)),
    "grid2_colour": (SMALL | {"grid": (2, 2), "n_channel_in": 3}, (101, 93)),
    "grid2_grey_normed": (
        SMALL | {"grid": (2, 2), "n_channel_in": 1, "unet_n_depth": 3, "unet_batch_norm": True, "n_rays": 32},
        (120, 67),
    ),
}


def with_weights(model, rng):
    """Give a model random weights under which about every tenth grid point proposes a polygon of some pixels."""
    for layer in model.keras_model.layers:
        values = layer.get_weights()
        if len(values) == 2:
            fan_in = np.prod(values[0].shape[:-1])
            values = [rng.normal(0, np.sqrt(2 / fan_in), values[0].shape), rng.normal(0, 0.05, values[1].shape)]
            if layer.name == "dist":
                values[1] = values[1] + 6
        elif len(values) == 4:
            shape = values[0].shape
            values = [rng.uniform(0.5, 1.5, shape), rng.normal(0, 0.1, shape), rng.normal(0, 0.1, shape)]
            values.append(rng.uniform(0.5, 1.5, shape))
        layer.set_weights(values)
    return model


def record(folder, config, size, seed):
    """Write one model folder and ``reference.npz`` beside it."""
    from stardist.models import Config2D, StarDist2D

    rng = np.random.default_rng(seed)
    model = StarDist2D(Config2D(**config), name=folder.name, basedir=str(folder.parent))
    with_weights(model, rng)
    noise = rng.normal(size=(*size, config["n_channel_in"]))
    image = gaussian_filter(noise, (2, 2, 0))
    image = ((image - image.min()) / np.ptp(image)).astype(np.float32)
    shown = image[..., 0] if config["n_channel_in"] == 1 else image
    prob, dist = model.predict(shown)
    threshold = float(np.quantile(prob, 0.9))
    labels, details = model.predict_instances(shown, prob_thresh=threshold, nms_thresh=0.4)
    model.keras_model.save_weights(str(folder / "weights_best.h5"))
    (folder / "thresholds.json").write_text(f'{{"prob": {threshold!r}, "nms": 0.4}}', encoding="utf-8")
    np.savez_compressed(
        folder / "reference.npz", image=image, prob=prob, dist=dist, labels=labels, probabilities=details["prob"]
    )
    return labels.max()


if __name__ == "__main__":
    for number, (name, (config, size)) in enumerate(CASES.items()):
        print(name, record(GOLDEN / name, config, size, number), "instances")
