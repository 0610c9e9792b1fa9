"""The audience at a presentation: blind answers, votes and their tallies. Knows neither the phones' page nor the presenter's."""
