from mammo_tf.serving.predict_domain import foreign
from mammo_tf.training import TrainingDomain

DOMAIN = TrainingDomain(
    9, {"modality": {"FFDM": 9}, "manufacturer": {"Hologic": 5, "GE": 4}, "site": {"a": 9}, "view": {"CC": 9}}
)


def row(modality="FFDM", manufacturer="GE", site="a"):
    return {"modality": modality, "manufacturer": manufacturer, "site": site, "view": "MLO"}


def test_what_was_never_seen_is_one_line():
    assert foreign([row("FILM")] * 65, DOMAIN) == ["65 of 65 pictures are FILM; the model was trained on FFDM"]
    two = [row(), row(manufacturer="Siemens", site="b"), row(manufacturer="Fuji")]
    assert foreign(two, DOMAIN) == [
        "2 of 3 pictures are by Siemens, Fuji; the model was trained on Hologic, GE. "
        "1 of 3 pictures are from site b; the model was trained on a"
    ]
    many = [row(manufacturer=name) for name in "VWXYZ"]
    assert "5 of 5 pictures are by V, W, X and 2 more;" in foreign(many, DOMAIN)[0]


def test_what_is_known_or_not_told_is_not_foreign():
    assert foreign([row(), row(manufacturer="HOLOGIC "), row("", "", None), {}], DOMAIN) == []
    assert foreign([row("FILM")], TrainingDomain()) == []
