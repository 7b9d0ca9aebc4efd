from phyemu.training.seeds import SeedUse, derived_seed


def test_every_use_and_index_has_a_seed_of_its_own() -> None:
    seeds = {derived_seed(s, use, k) for s in range(20) for use in SeedUse for k in range(4)}
    assert len(seeds) == 20 * len(SeedUse) * 4
    assert derived_seed(0, SeedUse.LINK) == derived_seed(0, SeedUse.LINK)
    assert 0 <= min(seeds) <= max(seeds) < 2**31
