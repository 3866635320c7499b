from repvit_sam.app.timing import MedianLatency


def test_the_median_is_of_the_last_twenty():
    latency = MedianLatency()
    assert latency.median is None
    for milliseconds in [1000.0] * 15 + list(range(20)):
        latency.add(milliseconds)
    assert latency.median == 9.5
    latency.clear()
    assert latency.median is None
