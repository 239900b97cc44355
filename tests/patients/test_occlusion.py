"""What hiding parts of a view does to a patient's score, on a network and a classifier that are solved by hand."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.patients import scoring
from mammo_tf.patients.occlusion import occlusions, write_occlusions
from mammo_tf.patients.scoring import PatientView, ReadPatient


class Classifier:
    """The patient's score is the mean of the views' scores; what is missing is filled by the table's rule."""

    def scores(self, table: Any) -> Any:
        columns = [name for name in table if name.endswith("_score")]
        return table[columns].to_numpy(float).mean(axis=1)


def brightest(pictures: Any, breast: Any = None) -> Any:
    """A network that looks for one bright spot."""
    return SimpleNamespace(score=np.asarray(pictures).max(axis=(1, 2)))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> ReadPatient:
    """Grey breasts in the left half; one of two views has a bright spot in its upper left quarter."""
    monkeypatch.setattr(
        scoring, "patient_table", lambda images, where: images.set_index("image_id")[["score"]].T.add_suffix("_score")
    )
    monkeypatch.setattr(scoring, "assemble", lambda images, features: images)
    views = []
    for number, name in enumerate(("L_CC", "R_CC")):
        picture = np.zeros((32, 32), np.float32)
        picture[:, :16] = 0.2
        if number == 0:
            picture[5, 6] = 1.0
        views.append(PatientView(name, "", picture, picture > 0, {}, ""))
    model = SimpleNamespace(classifier=Classifier())
    return ReadPatient(cast(Any, model), cast(Any, SimpleNamespace(score=brightest)), tuple(views), None, (), ())


def test_the_score_falls_where_the_spot_is_hidden_and_nowhere_else(patient: ReadPatient) -> None:
    first, second = occlusions(patient, parts=4)
    expected = np.zeros((4, 4))
    expected[0, 0] = 0.6 - 0.2  # the mean of 1.0 and 0.2, and of 0.2 and 0.2
    np.testing.assert_allclose(first.fall, expected, atol=1e-6)
    np.testing.assert_allclose(second.fall, 0, atol=1e-6)
    assert (first.view, second.view) == ("L_CC", "R_CC")
    assert first.hidden == pytest.approx(0.6 - 0.2) and second.hidden == pytest.approx(0.6 - 1.0)


def test_what_is_not_breast_is_left_alone(patient: ReadPatient) -> None:
    view = patient.views[0]
    view.picture[20, 30] = 0.9  # a marker on the film: hiding it is no question
    first = occlusions(patient, parts=4)[0]
    assert first.fall[2, 3] == 0
    assert first.fall[0, 0] == pytest.approx((1.0 - 0.9) / 2)


def test_one_view_alone_has_nothing_to_be_filled_from_and_too_many_parts_are_refused(patient: ReadPatient) -> None:
    assert occlusions(patient._replace(views=patient.views[:1]), parts=2)[0].hidden is None
    for parts in (1, 33):
        with pytest.raises(MammoError, match=f"in {parts} x {parts} parts"):
            occlusions(patient, parts)


def test_a_sheet_is_drawn(patient: ReadPatient, tmp_path: Any) -> None:
    (page,) = write_occlusions(tmp_path / "o.png", patient, occlusions(patient, parts=4), 0.6)
    assert page.stat().st_size > 1000
