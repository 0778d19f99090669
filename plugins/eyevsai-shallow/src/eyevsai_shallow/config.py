"""Options of the `shallow` family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eyevsai_core.config import Search, TrainConfig, option
from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from eyevsai_shallow.features import FeatureConfig

__all__ = ["ShallowConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShallowConfig(TrainConfig):
    """Which features, which classifier, and how it is chosen.

    What is None is chosen on the validation split.
    """

    classifier: str = option(
        "svm", help="svm, random forest or logistic regression", choices=("svm", "rf", "lr")
    )
    hog: bool = option(
        True, help="histograms of oriented gradients", search=Search(choices=(True, False))
    )
    lbp: bool = option(
        True, help="uniform local binary patterns", search=Search(choices=(True, False))
    )
    colour: bool = option(
        True,
        help="colour histograms and a small copy of the picture",
        search=Search(choices=(True, False)),
    )
    colour_histogram: bool | None = option(
        None, help="the histograms of colour; none: unless every picture is grey"
    )
    texture: bool = option(
        True, help="grey-level co-occurrence", search=Search(choices=(True, False))
    )
    kernel: str = option(
        "rbf",
        help="kernel of the SVM",
        choices=("linear", "rbf", "poly"),
        search=Search(choices=("linear", "rbf", "poly")),
    )
    c: float | None = option(
        None,
        help="inverse strength of the regularisation of svm and lr; none: chosen",
        low=1e-4,
        high=1e4,
        search=Search(low=0.1, high=100, log=True),
    )
    gamma: float | None = option(
        None,
        help="width of the rbf and poly kernels, in 1 / (2 x total variance); none: chosen",
        low=1e-3,
        high=1e3,
    )
    degree: int = option(3, help="degree of the poly kernel", low=1, high=8)
    n_estimators: int = option(
        400,
        help="trees of the forest",
        unit="trees",
        low=1,
        high=5000,
        search=Search(low=100, high=500),
    )
    max_depth: int | None = option(
        None,
        help="depth of a tree; none: unlimited",
        low=1,
        high=100,
        search=Search(low=10, high=30),
    )
    min_samples_leaf: int = option(1, help="pictures in a leaf of a tree", low=1, high=10000)
    select_features: int | None = option(
        None,
        help="keep the best features by the F test; none: all",
        unit="features",
        low=1,
        high=100000,
    )
    pca_components: int | None = option(
        None,
        help="principal components that svm and lr see; 0: all features; none: two for three "
        "pictures, at most 400, or 200 above 20 000 pictures",
        low=0,
        high=4096,
        search=Search(low=50, high=200),
    )
    whiten: bool = option(False, help="give every principal component the same variance")
    flip: bool | None = option(
        None, help="learn from mirrored pictures too; none: chosen, up to 100 000 pictures"
    )
    shift: bool | None = option(
        None,
        help="beside mirrored pictures, learn from pictures moved a little; none: forests, of up "
        "to 64 pictures of a class and 5000 in all",
    )
    class_weight: str = option(
        "none", help="balanced: rare classes count more", choices=("none", "balanced")
    )
    refit: bool = option(
        True, help="after choosing, fit once more on training and validation pictures"
    )
    search_limit: int = option(
        8000, help="pictures that candidates are compared on", unit="pictures", low=16, high=10**7
    )

    def __post_init__(self) -> None:
        """Check the fields, and that some feature is left."""
        # Named, because slots make a new class that an argumentless super() does not know.
        TrainConfig.__post_init__(self)
        if not (self.hog or self.lbp or self.colour or self.texture):
            raise ConfigError("at least one of hog, lbp, colour and texture must be true")

    def features(self) -> FeatureConfig:
        """Return what the feature extractor needs to know."""
        from eyevsai_shallow.features import FeatureConfig  # noqa: PLC0415  keeps plugin.py light

        found = FeatureConfig(hog=self.hog, lbp=self.lbp, colour=self.colour, texture=self.texture)
        return replace(found, colour_cells=()) if self.colour_histogram is False else found
