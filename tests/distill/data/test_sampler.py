from repvit_sam.distill.data.sampler import photo_at, positions_of, rng_at


def test_every_pass_sees_every_photo_once_and_in_another_order():
    first, second = ([photo_at(p, 10, seed=3) for p in range(start, start + 10)] for start in (0, 10))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != [photo_at(p, 10, seed=4) for p in range(10)]


def test_ranks_and_parts_share_a_step_without_gap_or_overlap():
    alone = positions_of(5, 12, 1, 0, 1)
    shared = [p for rank in range(3) for p in positions_of(5, 12, 2, rank, 3)]
    assert alone == list(range(60, 72))
    assert sorted(shared) == alone


def test_random_numbers_belong_to_the_position():
    assert rng_at(7, 1).random() == rng_at(7, 1).random()
    assert rng_at(7, 1).random() != rng_at(8, 1).random()
