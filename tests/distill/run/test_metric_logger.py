from repvit_sam.distill.run.metric_logger import LossMeans, MetricLogger


def test_means_are_of_the_steps_since_they_were_taken():
    means = LossMeans()
    means.add({"loss": 1.0})
    means.add({"loss": 2.0})
    assert means.take() == {"loss": 1.5}
    assert means.take() == {"loss": 1.5}  # no step since
    means.add({"loss": 5.0})
    assert means.take() == {"loss": 5.0}


def test_a_point_of_the_curve_leaves_the_validations_mean_alone(tmp_path):
    """A slow machine writes a point after each step, a fast one after many; the figure must not depend on it."""
    with MetricLogger(tmp_path, silent=True) as logger:
        logger.add({"loss": 1.0})
        logger.write(4, {})
        logger.add({"loss": 2.0})
        assert logger.since_validation.take() == {"loss": 1.5}
